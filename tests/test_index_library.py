from __future__ import annotations

import dataclasses
import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import BUNDLED_BYTES

from index import Library
from index.document import Place
from index.embedding import FakeEmbedder, FloatArray, Span
from index.errors import (
    DocumentNotFoundError,
    DocumentTooLargeError,
    EmptyDocumentError,
    LibraryBusyError,
    LibraryTooNewError,
    LibraryUnreadableError,
    ModelError,
    ModelMismatchError,
    NotTextError,
    SourceNotFoundError,
    TitleError,
    UnsupportedFormatError,
)
from index.formats import parse
from index.library import EMBED_BATCH, VECTORS
from index.store import DATABASE, MIGRATIONS

CATS = b"All about cats\n\nCats sleep sixteen hours a day. They hunt at dusk.\n"
DOGS = b"All about dogs\n\nDogs sleep half the day. They guard the house at night.\n"


def reopen(library: Library) -> Library:
    library.close()
    return Library.open(library.folder, embedder=library.embedder)


def nearest_text(library: Library, question: str, documents: list[str] | None = None) -> list[str]:
    hits = library.nearest(library.embedder.embed_question(question), 10, documents)
    stored = library.passages([number for number, _ in hits])
    return [
        library.document(each.passage.document_id).text[each.passage.start : each.passage.end]
        for each in stored
    ]


def test_added_document_comes_back_whole(library: Library) -> None:
    added = library.add(BUNDLED_BYTES, name="summary.txt")
    with reopen(library) as again:
        assert again.document(added.id) == added
        (record,) = again.documents()
    assert (record.id, record.title, record.name) == (added.id, added.title, "summary.txt")
    assert (record.n_sentences, record.n_characters) == (len(added.sentences), len(added.text))


def test_pages_come_back_too(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = dataclasses.replace(parse(CATS, "cats.txt"), places=(Place(0, "p. 1"), Place(20, "p. 2")))
    monkeypatch.setattr("index.formats.parse", lambda data, name: parsed)
    added = library.add(CATS, name="cats.pdf")
    with reopen(library) as again:
        assert again.document(added.id).places == parsed.places


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_a_library_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.executescript("".join(MIGRATIONS[:version]) + f"PRAGMA user_version = {version}")
        with connection:
            connection.execute(
                "INSERT INTO documents VALUES (1, 'c0ffee', 'Old', 'old.txt', '', 'Old text.')"
            )
    with Library.open(tmp_path, embedder=FakeEmbedder()) as library:
        assert [record.title for record in library.documents()] == ["Old"]
        library.remove("c0ffee")
        assert library.add(CATS, name="cats.txt") == library.document(library.documents()[0].id)


def test_same_content_twice_is_one_document(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "cats.txt"
    file.write_bytes(CATS)
    first = library.add(file)
    passages = library.passage_count()
    assert library.add(CATS, name="other name.txt") == first
    assert len(library.documents()) == 1
    assert library.passage_count() == passages


def test_documents_are_searched_together_or_alone(library: Library) -> None:
    cats, dogs = library.add(CATS, name="cats.txt"), library.add(DOGS, name="dogs.txt")
    assert len(nearest_text(library, "sleep")) == 2
    assert nearest_text(library, "Dogs sleep half the day", [cats.id])[0].startswith("Cats")
    assert library.matching(["guard"], 5, [cats.id]) == []
    assert len(library.matching(["guard"], 5, [dogs.id])) == 1
    assert library.matching(["guard"], 5, None) == library.matching(["guard"], 5, [dogs.id])


def test_document_frequency_is_of_the_documents_asked(library: Library) -> None:
    cats = library.add(CATS, name="cats.txt")
    library.add(DOGS, name="dogs.txt")
    assert library.document_frequency(["sleep", "guard", "whale"]) == {"sleep": 2, "guard": 1, "whale": 0}
    assert library.document_frequency(["sleep", "guard"], [cats.id]) == {"sleep": 1, "guard": 0}


def test_heading_path_takes_part_in_full_text(library: Library) -> None:
    document = library.add(b"# Zoo\n\n## Penguins\n\nThey are fed at noon.\n", name="zoo.md")
    assert len(library.matching(["penguin"], 5, [document.id])) == 1


def test_removed_document_is_gone_everywhere(library: Library) -> None:
    cats, dogs = library.add(CATS, name="cats.txt"), library.add(DOGS, name="dogs.txt")
    library.remove(cats.id)
    with reopen(library) as again:
        assert [record.id for record in again.documents()] == [dogs.id]
        assert all(text.startswith("Dogs") for text in nearest_text(again, "Cats sleep sixteen hours"))
        assert again.matching(["cat"], 5) == []
        with pytest.raises(DocumentNotFoundError, match="quoth list"):
            again.document(cats.id)
    with sqlite3.connect(library.folder / DATABASE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("sections", "blocks", "sentences", "passages"):
            rows = connection.execute(f"SELECT count(*) FROM {table} WHERE document_id = ?", (cats.id,))
            assert rows.fetchone() == (0,), table
    connection.close()


def test_a_removed_document_is_put_back_as_it_was(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    cats, dogs = library.add(CATS, name="cats.txt"), library.add(DOGS, name="dogs.txt")
    records, found = library.documents(), library.matching(["sleep"], 10)
    removed = library.remove(cats.id)
    monkeypatch.setattr(library.embedder, "embed_passages", None)  # it has what it needs
    assert library.put_back(removed) == cats
    assert library.documents() == records
    assert library.document(cats.id) == cats
    assert nearest_text(library, "How long do cats sleep?", [cats.id])
    assert len(library.matching(["sleep"], 10)) == len(found)
    assert library.put_back(removed) == cats  # twice is once
    assert [record.id for record in library.documents()] == [cats.id, dogs.id]


def test_a_document_put_back_into_another_models_library_is_embedded(library: Library) -> None:
    library.add(DOGS, name="dogs.txt")
    removed = library.remove(library.add(CATS, name="cats.txt").id)
    library.close()
    another = FakeEmbedder(dimension=32)
    another.fingerprint = "fake-2"
    with Library.open(library.folder, embedder=another) as other:
        other.reindex()
        other.put_back(removed)
        assert nearest_text(other, "How long do cats sleep?", [removed.document.id])


def test_a_document_put_back_where_its_place_is_taken(library: Library) -> None:
    removed = library.remove(library.add(CATS, name="cats.txt").id)
    dogs = library.add(DOGS, name="dogs.txt")
    with library._store.writing():
        library._store._writer.execute("UPDATE documents SET number = ?", (removed.number,))
    library.put_back(removed)
    assert [record.id for record in library.documents()] == [dogs.id, removed.document.id]


def test_a_document_is_renamed_for_every_process(library: Library) -> None:
    cats = library.add(CATS, name="cats.txt")
    with Library.open(library.folder, embedder=library.embedder) as other:
        assert other.document(cats.id).title == "All about cats"
        library.rename(cats.id, "  Cats \n and more ")
        assert library.documents()[0].title == "Cats and more"
        assert other.document(cats.id).title == "Cats and more"


@pytest.mark.parametrize("title", ["", " \n", "x" * 301])
def test_a_title_that_is_none_is_refused(library: Library, title: str) -> None:
    cats = library.add(CATS, name="cats.txt")
    with pytest.raises(TitleError, match="1 to 300"):
        library.rename(cats.id, title)
    assert library.document(cats.id).title == "All about cats"


def test_removing_what_is_not_there_changes_nothing(library: Library) -> None:
    library.add(CATS, name="cats.txt")
    with pytest.raises(DocumentNotFoundError):
        library.remove("0" * 16)
    assert len(library.documents()) == 1


def test_last_document_can_be_removed_and_another_added(library: Library) -> None:
    library.remove(library.add(CATS, name="cats.txt").id)
    assert nearest_text(library, "cats") == []
    library.add(DOGS, name="dogs.txt")
    assert len(nearest_text(library, "dogs")) == 1


def test_failure_while_storing_leaves_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(DOGS, name="dogs.txt")
    monkeypatch.setattr(library._store, "_insert_passage", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        library.add(CATS, name="cats.txt")
    monkeypatch.undo()
    assert [record.name for record in library.documents()] == ["dogs.txt"]
    library.add(CATS, name="cats.txt")
    assert len(nearest_text(library, "sleep")) == 2


def test_interrupt_while_embedding_leaves_nothing(library: Library) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "embed" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.add(CATS, name="cats.txt", progress=interrupt)
    assert library.documents() == ()
    assert library.passage_count() == 0


def test_progress_counts_passages(library: Library) -> None:
    seen: list[tuple[str, int, int]] = []
    library.add(BUNDLED_BYTES, name="summary.txt", progress=lambda *step: seen.append(step))
    total = library.passage_count()
    assert [step for step in seen if step[0] == "embed"][-1] == ("embed", total, total)
    assert [stage for stage, done, of in seen if done == of] == ["read", "embed", "store"]


def test_bundled_summary_is_added_once_and_stays_removed(library: Library) -> None:
    added = library.add_bundled()
    assert added is not None
    assert library.add_bundled() is None
    library.remove(added.id)
    with reopen(library) as again:
        assert again.add_bundled() is None
        assert again.documents() == ()


@pytest.mark.parametrize("damage", [b"", b"not an index", None])
def test_damaged_vector_file_is_rebuilt(
    library: Library, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    library.add(CATS, name="cats.txt")
    library.add(DOGS, name="dogs.txt")
    before = nearest_text(library, "They hunt at dusk")
    path = library.folder / VECTORS
    if damage is None:
        content = bytearray(path.read_bytes())
        content[-10] ^= 1
        damage = bytes(content)
    path.write_bytes(damage)
    caplog.set_level(logging.INFO)
    with reopen(library) as again:
        assert nearest_text(again, "They hunt at dusk") == before
        assert "building it again" in caplog.text
        assert path.read_bytes() != damage


def test_vectors_in_the_file_are_those_in_the_database(library: Library) -> None:
    for number in range(5):
        library.add(f"Note {number}\n\nThis is note number {number} of five.".encode(), name=f"{number}.txt")
    library.remove(library.documents()[2].id)
    ids, matrix = library._store.vectors()
    for number, vector in zip(ids, matrix, strict=True):
        found = library.nearest(vector, 1)
        assert found[0][0] == number
        assert found[0][1] == pytest.approx(1.0, abs=1e-5)
    assert len(library.nearest(matrix[0], 100)) == len(ids)


def test_another_process_adds_and_this_one_finds_it(library: Library) -> None:
    library.add(CATS, name="cats.txt")
    assert len(nearest_text(library, "sleep")) == 1
    with Library.open(library.folder, embedder=FakeEmbedder()) as other:
        other.add(DOGS, name="dogs.txt")
    assert len(nearest_text(library, "sleep")) == 2


def test_threads_add_and_search_at_once(library: Library) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            added = library.add(
                f"Page {number}\n\nSentence {number} stands alone here.".encode(), name="p.txt"
            )
            assert nearest_text(library, f"Sentence {number} stands alone here", [added.id])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(library.documents()) == 12


def test_another_may_add_the_first_document_at_any_moment(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library.open(library.folder, embedder=FakeEmbedder()) as other:
        meta = library._store.meta

        def interrupted(key: str) -> str | None:
            found = meta(key)
            if key == "fingerprint" and not other.documents():
                other.add(DOGS, name="dogs.txt")
            return found

        monkeypatch.setattr(library._store, "meta", interrupted)
        library.add(CATS, name="cats.txt")
    assert len(library.documents()) == 2


def test_many_open_a_new_library_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            Library.open(tmp_path / "new", embedder=FakeEmbedder()).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


CRASH = """
import os, sys
from index import Library
from index.embedding import FakeEmbedder
from index.vectors import VectorIndex

folder, steps = sys.argv[1], int(sys.argv[2])
library = Library.open(folder, embedder=FakeEmbedder())
left = [steps]

def step(*_):
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)

library._store._writer.set_trace_callback(step)
save = VectorIndex.save
VectorIndex.save = lambda *arguments: (step(), save(*arguments), step())
library.add(b"Cats\\n\\nCats sleep. They hunt.", name="cats.txt")
library.remove(library.documents()[0].id)
"""


def test_a_process_killed_at_any_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    codes = set()
    for steps in range(0, 80, 3):
        folder = tmp_path / str(steps)
        with Library.open(folder, embedder=FakeEmbedder()) as library:
            library.add(DOGS, name="dogs.txt")
        killed = subprocess.run([sys.executable, "-c", CRASH, str(folder), str(steps)], check=False)
        codes.add(killed.returncode)
        with Library.open(folder, embedder=FakeEmbedder()) as library:
            names = [record.name for record in library.documents()]
            assert names in (["dogs.txt"], ["dogs.txt", "cats.txt"], ["cats.txt"])
            assert len(nearest_text(library, "sleep")) == len(names)
            assert len(library.matching(["sleep"], 9)) == len(names)
    assert codes == {0, 9}  # some were killed, and the last ones came through


# Bad input


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (b"", "empty.txt", EmptyDocumentError),
        (b" \n\t\n", "blank.txt", EmptyDocumentError),
        (bytes(range(256)) * 20, "random.txt", NotTextError),
        (b"PK\x03\x04" + bytes(200), "archive.txt", NotTextError),
        (b"some text", "table.xyz", UnsupportedFormatError),
    ],
)
def test_bad_content_is_one_clear_line(
    library: Library, content: bytes, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as raised:
        library.add(content, name=name)
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)
    assert library.documents() == ()


def test_missing_file_folder_and_unreadable_file(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=r"there is no file .*nothing\.txt"):
        library.add(tmp_path / "nothing.txt")
    with pytest.raises(SourceNotFoundError, match="is a folder"):
        library.add(tmp_path)


def test_odd_file_names(library: Library, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="cannot read"):
        library.add(tmp_path / ("x" * 300 + ".txt"))
    file = tmp_path / os.fsdecode(b"caf\xe9.txt")
    file.write_bytes(CATS)
    library.add(file)
    assert [record.name for record in library.documents()] == ["caf?.txt"]


def test_too_large_file_names_the_limit(tmp_path: Path) -> None:
    with Library.open(tmp_path / "l", embedder=FakeEmbedder(), max_document_bytes=10) as library:
        with pytest.raises(DocumentTooLargeError, match="QUOTH_MAX_DOCUMENT_MB"):
            library.add(CATS, name="cats.txt")
        file = tmp_path / "cats.txt"
        file.write_bytes(CATS)
        with pytest.raises(DocumentTooLargeError, match=r"cats\.txt"):
            library.add(file)


def test_one_word_is_a_document(library: Library) -> None:
    document = library.add(b"Hello", name="word.txt")
    assert [document.text[each.start : each.end] for each in document.sentences] == ["Hello"]


def test_a_megabyte_is_read(library: Library) -> None:
    text = "".join(f"Line {number} of the log says that all is well.\n\n" for number in range(20))
    large = (text * (2**20 // len(text) + 1)).encode()
    document = library.add(large, name="large.txt")
    assert len(document.text) >= 2**20
    assert library.nearest(library.embedder.embed_question("all is well"), 3, [document.id])


def test_library_folder_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(LibraryUnreadableError, match="--library"):
        Library.open(file, embedder=FakeEmbedder())


def test_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"this is no database, whatever its name says" * 50)
    before = (tmp_path / DATABASE).read_bytes()
    with pytest.raises(LibraryUnreadableError, match="damaged"):
        Library.open(tmp_path, embedder=FakeEmbedder())
    assert (tmp_path / DATABASE).read_bytes() == before


def test_library_of_a_newer_version(library: Library) -> None:
    library.close()
    connection = sqlite3.connect(library.folder / DATABASE)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(LibraryTooNewError, match="upgrade Quoth"):
        Library.open(library.folder, embedder=FakeEmbedder())


def test_another_model_is_refused_until_reindexed(library: Library) -> None:
    library.add(CATS, name="cats.txt")
    library.close()
    other = FakeEmbedder(dimension=64)
    other.fingerprint = "fake-2"
    with Library.open(library.folder, embedder=other) as again:
        with pytest.raises(ModelMismatchError, match="quoth reindex"):
            again.add(DOGS, name="dogs.txt")
        with pytest.raises(ModelMismatchError):
            again.nearest(other.embed_question("cats"), 1)
        again.reindex()
        again.add(DOGS, name="dogs.txt")
        assert len(nearest_text(again, "sleep")) == 2
        assert again._store.vectors()[1].shape[1] == 64


def other_model(dimension: int) -> FakeEmbedder:
    embedder = FakeEmbedder(dimension=dimension)
    embedder.fingerprint = "fake-2"
    return embedder


def test_a_model_changed_while_a_document_was_embedded(library: Library) -> None:
    library.add(CATS, name="cats.txt")

    def reindex(stage: str, done: int, total: int) -> None:
        if stage == "store" and not done:
            with Library.open(library.folder, embedder=other_model(64)) as other:
                other.reindex()

    with pytest.raises(ModelMismatchError):
        library.add(DOGS, name="dogs.txt", progress=reindex)
    with Library.open(library.folder, embedder=other_model(64)) as other:
        assert [record.name for record in other.documents()] == ["cats.txt"]
        assert len(nearest_text(other, "sleep")) == 1


def test_documents_that_come_and_go_while_reindexing(library: Library) -> None:
    cats = library.add(CATS, name="cats.txt")
    changed = False

    def change(stage: str, done: int, total: int) -> None:
        nonlocal changed
        if not changed:
            changed = True
            with Library.open(library.folder, embedder=library.embedder) as other:
                other.add(DOGS, name="dogs.txt")
                other.remove(cats.id)

    library.reindex(progress=change)
    assert [text.startswith("Dogs") for text in nearest_text(library, "sleep")] == [True]


class InterruptedEmbedder(FakeEmbedder):
    """Another model, that is interrupted after so many batches."""

    fingerprint = "fake-2"

    def __init__(self, batches: int) -> None:
        super().__init__(dimension=64)
        self.left = batches
        self.texts = 0

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[FloatArray]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.texts += len(texts)
        return super().embed_passages(texts, spans)


def test_reindexing_goes_on_where_it_was_interrupted(library: Library) -> None:
    library.add(BUNDLED_BYTES, name="summary.txt")
    library.add(CATS, name="cats.txt")
    before = nearest_text(library, "They hunt at dusk")
    total = library.passage_count()
    embedder = InterruptedEmbedder(batches=1)
    with Library.open(library.folder, embedder=embedder) as other:
        with pytest.raises(KeyboardInterrupt):
            other.reindex()
        assert other._store.staged_count() == embedder.texts == EMBED_BATCH
    assert nearest_text(library, "They hunt at dusk") == before  # who runs the old model is answered
    embedder.left = total
    seen: list[int] = []
    with Library.open(library.folder, embedder=embedder) as other:
        other.reindex(progress=lambda stage, done, of: seen.append(done))
        assert embedder.texts == total, "something was embedded twice"
        assert seen[0] > EMBED_BATCH
        assert seen[-1] == total
        assert nearest_text(other, "They hunt at dusk")[0] == before[0]
        assert all(check.ok for check in other.check())
        assert other._store.staged_count() == 0
    with pytest.raises(ModelMismatchError, match="QUOTH_MODEL"):
        nearest_text(library, "They hunt at dusk")


def test_reindexing_gives_what_adding_gives(library: Library, tmp_path: Path) -> None:
    with Library.open(tmp_path / "other", embedder=other_model(64)) as fresh:
        for each in (library, fresh):
            each.add(BUNDLED_BYTES, name="summary.txt")
            each.add(CATS, name="cats.txt")
        with Library.open(library.folder, embedder=other_model(64)) as again:
            again.reindex()
            for ours, theirs in zip(again._store.vectors()[1], fresh._store.vectors()[1], strict=True):
                assert np.array_equal(ours, theirs)
            assert [score for _, score in again.matching(["sleep", "radar"], 9)] == pytest.approx(
                [score for _, score in fresh.matching(["sleep", "radar"], 9)]
            )


def test_a_document_renamed_while_it_is_embedded_is_begun_again(library: Library) -> None:
    summary = library.add(BUNDLED_BYTES, name="summary.txt")
    renamed = False

    def rename(stage: str, done: int, total: int) -> None:
        nonlocal renamed
        if not renamed:
            renamed = True
            with Library.open(library.folder, embedder=library.embedder) as other:
                other.rename(summary.id, "Another title, and a very long one " * 5)

    count = library.passage_count()
    library.reindex(progress=rename)
    assert library.passage_count() >= count
    assert all(check.ok for check in library.check())
    stored = library.passages(library._store.passage_ids([summary.id]).tolist())
    assert all(each.passage.prefix.startswith("Another title") for each in stored)
    covered = [span for each in stored for span in each.passage.spans]
    assert len(covered) == len(set(covered))


def test_another_model_drops_what_was_embedded_for_the_first(library: Library) -> None:
    library.add(BUNDLED_BYTES, name="summary.txt")
    interrupted = InterruptedEmbedder(batches=1)
    with Library.open(library.folder, embedder=interrupted) as other, pytest.raises(KeyboardInterrupt):
        other.reindex()
    library.reindex()
    assert nearest_text(library, "radar")
    assert all(check.ok for check in library.check())


def test_two_cannot_reindex_at_once(library: Library) -> None:
    library.add(CATS, name="cats.txt")

    def again(stage: str, done: int, total: int) -> None:
        with Library.open(library.folder, embedder=library.embedder) as other:
            other.reindex()

    with pytest.raises(LibraryBusyError, match="wait until it is done"):
        library.reindex(progress=again)
    library.reindex()


def test_another_chunking_answers_and_takes_no_documents(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cats = library.add(CATS, name="cats.txt")
    monkeypatch.setattr("index.library.CHUNKING", "2")
    with reopen(library) as again:
        assert "quoth reindex" in caplog.text
        assert nearest_text(again, "They hunt at dusk")
        with pytest.raises(ModelMismatchError):
            again.add(DOGS, name="dogs.txt")
        again.put_back(again.remove(cats.id))
        assert nearest_text(again, "They hunt at dusk")
        with pytest.raises(ModelMismatchError):  # it is still of the other chunking
            again.add(DOGS, name="dogs.txt")
        again.reindex()
        again.add(DOGS, name="dogs.txt")
        assert all(check.ok for check in again.check())


def test_model_that_cannot_load_loses_nothing(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(DOGS, name="dogs.txt")

    def fail(*_: object) -> list[np.ndarray]:
        raise ModelError("cannot load")

    monkeypatch.setattr(library.embedder, "embed_passages", fail)
    with pytest.raises(ModelError):
        library.add(CATS, name="cats.txt")
    assert [record.name for record in library.documents()] == ["dogs.txt"]
