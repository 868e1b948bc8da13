from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from index import Library
from index.backup import DAMAGED, back_up, restore
from index.embedding import FakeEmbedder
from index.errors import (
    BackupError,
    LibraryBusyError,
    LibraryDamagedError,
    LibraryMissingError,
    LibraryNotEmptyError,
)
from index.library import VECTORS
from index.store import DATABASE, MIGRATIONS

CATS = b"All about cats\n\nCats sleep sixteen hours a day. They hunt at dusk.\n"
DOGS = b"All about dogs\n\nDogs sleep half the day. They guard the house at night.\n"


def names(library: Library) -> list[str]:
    return [record.name for record in library.documents()]


def open_library(folder: Path) -> Library:
    return Library.open(folder, embedder=FakeEmbedder())


@pytest.fixture
def backup(library: Library, tmp_path: Path) -> Path:
    """Of a library with one document, about cats."""
    library.add(CATS, name="cats.txt")
    library.back_up(tmp_path / "backup.quoth")
    return tmp_path / "backup.quoth"


def test_a_backup_comes_back_whole(library: Library, backup: Path, tmp_path: Path) -> None:
    restore(backup, tmp_path / "new")
    with open_library(tmp_path / "new") as restored:
        assert restored.documents() == library.documents()
        (record,) = restored.documents()
        assert restored.document(record.id) == library.document(record.id)
        vector = restored.embedder.embed_question("They hunt at dusk")
        assert restored.nearest(vector, 9) == library.nearest(vector, 9)
        assert all(check.ok for check in restored.check())


def test_a_backup_is_one_file_and_leaves_no_other(backup: Path, library: Library) -> None:
    assert {path.name for path in backup.parent.iterdir()} == {"backup.quoth", library.folder.name}
    with closing(sqlite3.connect(f"file:{backup}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_backup_while_others_write_is_one_state(library: Library, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            library.add(f"Note {number}\n\nIt says {number}.".encode(), name="note.txt")

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(3):
            back_up(library.folder, tmp_path / f"{number}.quoth")
    finally:
        stop.set()
        writing.join()
    for number in range(3):
        restore(tmp_path / f"{number}.quoth", tmp_path / "restored", force=True)
        with open_library(tmp_path / "restored") as restored:
            assert all(check.ok for check in restored.check())


def test_whoever_has_the_library_open_sees_what_was_restored(library: Library, backup: Path) -> None:
    library.add(DOGS, name="dogs.txt")
    assert len(library.nearest(library.embedder.embed_question("sleep"), 9)) == 2
    restore(backup, library.folder, force=True)
    assert names(library) == ["cats.txt"]
    assert len(library.nearest(library.embedder.embed_question("sleep"), 9)) == 1
    assert library.matching(["guard"], 9) == []
    library.add(DOGS, name="dogs.txt")
    with open_library(library.folder) as again:
        assert names(again) == ["cats.txt", "dogs.txt"]
        assert all(check.ok for check in again.check())


def test_documents_are_replaced_only_by_force(library: Library, backup: Path) -> None:
    library.add(DOGS, name="dogs.txt")
    with pytest.raises(LibraryNotEmptyError, match="2 documents; --force"):
        restore(backup, library.folder)
    assert names(library) == ["cats.txt", "dogs.txt"]


def test_a_file_that_exists_is_left_alone(library: Library, tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    target.write_text("precious")
    with pytest.raises(BackupError, match="exists already"):
        library.back_up(target)
    assert target.read_text() == "precious"


def test_a_folder_without_a_library_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(LibraryMissingError, match="no library"):
        back_up(tmp_path / "nowhere", tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_cannot_be_written(library: Library, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="cannot write the backup"):
        library.back_up(tmp_path / "no folder" / "backup")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DROP TABLE passages", "is no backup of a Quoth library"),
        (f"PRAGMA user_version = {len(MIGRATIONS) + 1}", "newer version"),
        ("UPDATE documents SET text = 'short'", "damaged"),
        ("DELETE FROM documents", "damaged"),
    ],
)
def test_what_is_wrong_with_a_backup_is_said_before_anything_is_replaced(
    library: Library, backup: Path, statement: str, reason: str
) -> None:
    with closing(sqlite3.connect(backup)) as connection, connection:
        connection.execute(statement)
    with pytest.raises(BackupError, match=reason):
        restore(backup, library.folder, force=True)
    assert names(library) == ["cats.txt"]
    assert not (library.folder / "restoring").exists()


def test_full_text_of_a_backup_is_mended(library: Library, backup: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(backup)) as connection, connection:
        connection.execute("DELETE FROM passage_terms")
    restore(backup, tmp_path / "new")
    with open_library(tmp_path / "new") as restored:
        assert restored.matching(["cat"], 9) == library.matching(["cat"], 9)


@pytest.mark.parametrize("content", [None, b"", b"some text", b"SQLite format 3\0" + bytes(5_000)])
def test_a_file_that_is_no_backup(library: Library, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "notes.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BackupError, match=r"notes\.txt"):
        restore(file, library.folder)


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "old")) as connection:
        connection.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1")
        with connection:
            connection.execute(
                "INSERT INTO documents VALUES (1, 'c0ffee', 'Old', 'old.txt', '', 'Old text.')"
            )
    restore(tmp_path / "old", tmp_path / "new")
    with open_library(tmp_path / "new") as library:
        assert names(library) == ["old.txt"]
        library.add(CATS, name="cats.txt")


def test_a_damaged_library_is_put_aside_and_replaced(library: Library, backup: Path) -> None:
    library.close()
    (library.folder / DATABASE).write_bytes(b"no database" * 1_000)
    with pytest.raises(LibraryDamagedError):
        restore(backup, library.folder)
    restore(backup, library.folder, force=True)
    assert (library.folder / DAMAGED).read_bytes().startswith(b"no database")
    with open_library(library.folder) as restored:
        assert names(restored) == ["cats.txt"]
        assert (library.folder / VECTORS).exists()


def test_a_writer_that_does_not_finish_keeps_the_backup_out(
    library: Library, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index.store.WRITE_TIMEOUT_SECONDS", 0.05)
    with closing(sqlite3.connect(library.folder / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LibraryBusyError, match="try again"):
            restore(backup, library.folder, force=True)
        other.execute("ROLLBACK")
    assert names(library) == ["cats.txt"]
