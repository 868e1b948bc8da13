from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import BUNDLED_BYTES

from index import Library
from index.embedding import BUNDLED_SHA256, FakeEmbedder, SentenceTransformerEmbedder
from index.feedback import Excerpt, Feedback
from index.health import check_weights
from index.library import VECTORS
from index.store import DATABASE
from index.vectors import VectorIndex

DERIVED = {"full text", "full-text index", "vector file"}


@pytest.fixture
def filled(library: Library) -> Library:
    library.add(BUNDLED_BYTES, name="summary.txt")
    library.add(b"Cats\n\nCats sleep all day. They hunt at dusk.", name="cats.txt")
    library.nearest(library.embedder.embed_question("cats"), 1)
    return library


def faults(library: Library) -> dict[str, str]:
    return {check.name: check.detail for check in library.check() if not check.ok}


def tamper(library: Library, *statements: str) -> None:
    with closing(sqlite3.connect(library.folder / DATABASE)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_library_in_use_is_sound(filled: Library) -> None:
    filled.remove(filled.documents()[0].id)
    filled.rename(filled.documents()[0].id, "Other")
    filled.reindex()
    assert faults(filled) == {}


def test_a_new_library_is_sound(library: Library) -> None:
    assert faults(library) == {}


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("PRAGMA user_version = 1", "schema"),
        ("INSERT INTO blocks VALUES ('gone', 0, 'paragraph', 0, 1, 0, 0, NULL)", "references"),
        ("UPDATE documents SET text = substr(text, 1, 9)", "documents"),
        ("UPDATE sentences SET start = end + 1 WHERE position = 1", "documents"),
        ("UPDATE sentences SET end = end + 30 WHERE position = 1", "documents"),
        ("UPDATE blocks SET section = 900 WHERE position = 0", "documents"),
        ("UPDATE passages SET end = end + 100000 WHERE id = 1", "passages"),
        ("UPDATE passages SET spans = '[[0, 100000]]' WHERE id = 1", "passages"),
        ("UPDATE passages SET spans = 'x' WHERE id = 1", "passages"),
        ("UPDATE passages SET vector = zeroblob(length(vector)) WHERE id = 1", "passages"),
        ("UPDATE passages SET vector = zeroblob(8) WHERE id = 1", "passages"),
        ("UPDATE passages SET sentence_vectors = zeroblob(512) WHERE id = 1", "passages"),
        ("DELETE FROM passage_terms WHERE rowid = 1", "full text"),
        ("UPDATE passage_terms SET body = 'other' WHERE rowid = 1", "full text"),
        ("INSERT INTO passage_terms (rowid, prefix, body) VALUES (900, 'a', 'b')", "full text"),
        ("DELETE FROM passage_terms_data WHERE id > 10", "full-text index"),
        ("UPDATE meta SET value = 'other' WHERE key = 'fingerprint'", "model"),
    ],
)
def test_whatever_is_wrong_is_found(filled: Library, statement: str, name: str) -> None:
    tamper(filled, statement)
    found = faults(filled)
    assert name in found
    assert all("\n" not in detail for detail in found.values())


def test_pages_that_were_overwritten_are_found(filled: Library) -> None:
    ((page,),) = filled._store.rows("SELECT rootpage FROM sqlite_master WHERE name = 'passages'")
    filled.close()
    with (filled.folder / DATABASE).open("r+b") as stream:
        stream.seek((page - 1) * 4096)
        stream.write(bytes(4096))
    with Library.open(filled.folder, embedder=FakeEmbedder()) as library:
        assert {"integrity", "passages"} <= set(faults(library))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM passage_terms WHERE rowid < 5",
        "INSERT INTO passage_terms (rowid, prefix, body) VALUES (900, 'cat', 'cat')",
        "DELETE FROM passage_terms_data WHERE id > 10",
    ],
)
def test_full_text_is_mended(filled: Library, statement: str) -> None:
    before = filled.matching(["cat", "radar"], 100), filled.document_frequency(["cat", "radar"])
    tamper(filled, statement)
    assert set(faults(filled)) <= DERIVED
    assert faults(filled)
    filled.mend()
    assert faults(filled) == {}
    assert (filled.matching(["cat", "radar"], 100), filled.document_frequency(["cat", "radar"])) == before


def test_a_vector_file_that_holds_something_else_is_mended(filled: Library) -> None:
    ids, vectors = filled._store.vectors()
    stamp = {"generation": filled._store.generation}
    VectorIndex(ids, vectors[::-1]).save(filled.folder / VECTORS, stamp)
    assert set(faults(filled)) == {"vector file"}
    filled.mend()
    assert faults(filled) == {}
    assert VectorIndex.load(filled.folder / VECTORS, stamp).holds(ids, vectors)


def test_a_vector_file_that_is_damaged_is_told_from_one_that_is_late(filled: Library) -> None:
    (filled.folder / VECTORS).unlink()
    assert faults(filled) == {}  # the next question makes it
    (filled.folder / VECTORS).write_bytes(b"something else")
    assert set(faults(filled)) == {"vector file"}


def test_feedback_about_text_that_changed_is_counted(filled: Library) -> None:
    cats = filled.document(filled.documents()[1].id)
    sentence = cats.sentences[0]
    quote = Excerpt(cats.id, sentence.start, sentence.end, cats.text[sentence.start : sentence.end])
    filled.add_feedback(Feedback("helpful", "When?", "When?", (), True, 0.9, (quote,)))
    (line,) = [check.detail for check in filled.check() if check.name == "feedback"]
    assert line.startswith("1 entries, 0 of their 1 quotes")
    tamper(filled, f"UPDATE documents SET text = upper(text) WHERE id = '{cats.id}'")
    (line,) = [check.detail for check in filled.check() if check.name == "feedback"]
    assert line.startswith("1 entries, 1 of their 1 quotes")


def test_checking_changes_nothing(filled: Library) -> None:
    tamper(filled, "DELETE FROM passage_terms WHERE rowid = 1")
    before = (filled.folder / VECTORS).read_bytes(), filled._store.generation
    assert faults(filled) == faults(filled) != {}
    assert ((filled.folder / VECTORS).read_bytes(), filled._store.generation) == before


def test_the_bundled_weights_are_compared_with_their_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert BUNDLED_SHA256[:12] in check_weights(SentenceTransformerEmbedder()).detail
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr("index.embedding.bundled_folder", lambda: tmp_path)
    damaged = check_weights(SentenceTransformerEmbedder())
    assert not damaged.ok
    assert "damaged" in damaged.detail
    assert check_weights(FakeEmbedder()).ok
