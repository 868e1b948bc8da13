"""What happens to a library from outside: other processes, kills, full disks, folders that go away."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from index import Library
from index.embedding import FakeEmbedder
from index.errors import (
    LibraryBusyError,
    LibraryDamagedError,
    LibraryFullError,
    LibraryGoneError,
    LibraryUnreadableError,
)
from index.store import DATABASE

CATS = b"All about cats\n\nCats sleep sixteen hours a day. They hunt at dusk.\n"
DOGS = b"All about dogs\n\nDogs sleep half the day. They guard the house at night.\n"
LARGE = "\n\n".join(f"Paragraph {n} says {n * n} and no more." for n in range(300)).encode()
LIMIT_SECONDS = 300


def names(library: Library) -> list[str]:
    return [record.name for record in library.documents()]


def is_sound(library: Library) -> bool:
    faults = [check for check in library.check() if not check.ok]
    assert not faults
    return True


# Other processes

WRITER = """
import sys
from pathlib import Path
from index import Library
from index.embedding import FakeEmbedder

folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Library.open(folder, embedder=FakeEmbedder()) as library:
    for number in range(count):
        library.add(f"Page {number} of {name}\\n\\nThis is {name}{number}, said {name}.".encode(), name=name)
"""


@contextmanager
def writer(library: Library, name: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that adds so many documents."""
    command = [sys.executable, "-c", WRITER, str(library.folder), name, str(count)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(process: subprocess.Popen[str]) -> bool:
    _, stderr = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, stderr) == (0, "")
    return True


def test_a_reader_finds_what_another_process_adds_while_it_adds(library: Library) -> None:
    seen = {0}
    with writer(library, "rain", 12) as process:
        while process.poll() is None:
            vector = library.embedder.embed_question("This is rain, said rain")
            with library.snapshot():
                near = library.passages([number for number, _ in library.nearest(vector, 100)])
                matching = library.matching(["rain"], 100)
                documents = {library.document(each.passage.document_id).id for each in near}
                assert len(near) == len(matching) == library.passage_count()
                assert documents == {record.id for record in library.documents()}
            seen.add(len(documents))
        assert finished(process)
    assert len(library.matching(["rain"], 100)) == 12
    assert len(seen) > 2, "the reader never saw the library grow"
    assert is_sound(library)


def test_two_writers_take_turns(library: Library) -> None:
    with writer(library, "rain", 8) as first, writer(library, "snow", 8) as second:
        assert finished(first)
        assert finished(second)
    assert sorted(names(library)) == ["rain"] * 8 + ["snow"] * 8
    assert is_sound(library)


def test_a_writer_that_waits_keeps_no_reader_waiting(library: Library) -> None:
    library.add(CATS, name="cats.txt")
    with closing(sqlite3.connect(library.folder / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=library.add, args=(DOGS,), kwargs={"name": "dogs.txt"})
        waiting.start()
        time.sleep(0.2)
        assert names(library) == ["cats.txt"]
        assert library.nearest(library.embedder.embed_question("cats"), 1)
        assert waiting.is_alive()
        other.execute("ROLLBACK")
    waiting.join(LIMIT_SECONDS)
    assert names(library) == ["cats.txt", "dogs.txt"]


def test_a_writer_that_waits_too_long_says_so_and_changes_nothing(library: Library) -> None:
    with closing(sqlite3.connect(library.folder / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        library._store._writer.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(LibraryBusyError, match=r"within 30 s; try again"):
            library.add(CATS, name="cats.txt")
        other.execute("ROLLBACK")
    assert library.add(CATS, name="cats.txt").title == "All about cats"


def test_a_snapshot_is_one_state(library: Library) -> None:
    cats = library.add(CATS, name="cats.txt")
    with Library.open(library.folder, embedder=FakeEmbedder()) as other:
        with library.snapshot():
            before = library.passage_count()
            other.remove(cats.id)
            assert library.passage_count() == before
            assert library.document(cats.id) == cats
        assert library.passage_count() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the script forks")
def test_a_process_killed_at_any_moment_leaves_all_or_nothing() -> None:
    script = Path(__file__).with_name("kills.py")
    killed = subprocess.run(
        [sys.executable, str(script), "40"],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    assert killed.returncode == 0, killed.stderr
    assert killed.stdout.startswith("40 killed")


# Disks and folders


def limit_pages(library: Library, more: int) -> None:
    """Let the database grow by so many pages."""
    ((pages,),) = library._store.rows("PRAGMA page_count")
    library._store._writer.execute(f"PRAGMA max_page_count = {pages + more}")


def test_adding_to_a_full_disk_changes_nothing(library: Library) -> None:
    library.add(CATS, name="cats.txt")
    limit_pages(library, 2)
    with pytest.raises(LibraryFullError, match="make room"):
        library.add(LARGE, name="large.txt")
    assert names(library) == ["cats.txt"]
    assert is_sound(library)
    limit_pages(library, 1_000)
    library.add(LARGE, name="large.txt")
    assert names(library) == ["cats.txt", "large.txt"]


def test_a_disk_that_fills_up_while_reindexing_keeps_the_old_index(library: Library) -> None:
    library.add(LARGE, name="large.txt")
    limit_pages(library, 20)
    with pytest.raises(LibraryFullError):
        library.reindex()
    assert library.nearest(library.embedder.embed_question("Paragraph"), 1)
    assert is_sound(library)
    limit_pages(library, 1_000)
    library.reindex()
    assert is_sound(library)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_loses_nothing(small_disk: Path) -> None:
    with Library.open(small_disk / "library", embedder=FakeEmbedder()) as library:
        library.add(CATS, name="cats.txt")
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(2**20))
        with pytest.raises(LibraryFullError):
            library.add(LARGE, name="large.txt")
        assert names(library) == ["cats.txt"]
        assert library.nearest(library.embedder.embed_question("cats"), 1)
        filler.unlink()
        assert is_sound(library)
        library.add(DOGS, name="dogs.txt")
    with Library.open(small_disk / "library", embedder=FakeEmbedder()) as library:
        assert names(library) == ["cats.txt", "dogs.txt"]
        assert is_sound(library)


READ_ONLY = """
import os, sys
from index import Library
from index.embedding import FakeEmbedder
from index.errors import LibraryUnreadableError

if os.geteuid() == 0:
    os.setuid(65534)  # root may write anywhere
for folder in sys.argv[1:]:
    try:
        Library.open(folder, embedder=FakeEmbedder())
    except LibraryUnreadableError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the script gives up being root")
def test_a_read_only_folder_is_one_clear_line() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Library.open(folder / "library", embedder=FakeEmbedder()) as library:
            library.add(CATS, name="cats.txt")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        tried = [str(folder / "library"), str(folder / "new")]
        result = subprocess.run(
            [sys.executable, "-c", READ_ONLY, *tried], capture_output=True, text=True, check=False
        )
        folder.chmod(0o755)
        (folder / "library").chmod(0o755)
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert [path in line and "--library" in line for path, line in zip(tried, lines, strict=True)] == [
        True
    ] * 2


def test_a_folder_that_goes_away_is_noticed_before_anything_is_lost(library: Library) -> None:
    cats = library.add(CATS, name="cats.txt")
    away = library.folder.with_name("away")
    library.folder.rename(away)
    for use in (
        library.documents,
        lambda: library.document(cats.id),
        lambda: library.nearest(library.embedder.embed_question("cats"), 1),
        lambda: library.add(DOGS, name="dogs.txt"),
        lambda: library.remove(cats.id),
        library.reindex,
    ):
        with pytest.raises(LibraryGoneError, match="put it back"):
            use()
    assert not library.folder.exists()
    away.rename(library.folder)
    assert names(library) == ["cats.txt"]
    library.add(DOGS, name="dogs.txt")
    assert is_sound(library)


def test_a_folder_that_goes_away_while_a_document_is_stored(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = library.folder.with_name("away")
    advance = library._store.advance_generation

    def vanish() -> str:
        library.folder.rename(away)
        return advance()

    monkeypatch.setattr(library._store, "advance_generation", vanish)
    with pytest.raises(LibraryGoneError):
        library.add(CATS, name="cats.txt")
    with Library.open(away, embedder=FakeEmbedder()) as found:
        assert names(found) == []
        assert is_sound(found)


def test_another_library_in_the_same_place_is_not_taken_for_this_one(library: Library) -> None:
    library.add(CATS, name="cats.txt")
    library.folder.rename(library.folder.with_name("away"))
    with Library.open(library.folder, embedder=FakeEmbedder()) as other:
        with pytest.raises(LibraryGoneError):
            library.add(DOGS, name="dogs.txt")
        assert names(other) == []


def test_a_clock_that_goes_back_changes_no_order(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.add(CATS, name="cats.txt")
    monkeypatch.setattr("index.library._now", lambda: "1970-01-01T00:00:00+00:00")
    library.add(DOGS, name="dogs.txt")
    with Library.open(library.folder, embedder=FakeEmbedder()) as again:
        assert names(again) == ["cats.txt", "dogs.txt"]
        assert is_sound(again)


def test_a_damaged_database_names_what_mends_it(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database, whatever its name says" * 200)
    with pytest.raises(LibraryDamagedError, match="quoth restore --force"):
        Library.open(tmp_path, embedder=FakeEmbedder())
    assert issubclass(LibraryDamagedError, LibraryUnreadableError)
