"""One file that holds a library as it was at one moment, written while the library is in use, and read back.

Both ways go through SQLite's online backup: what is copied is one state of the database, and what is
replaced is replaced in one transaction, so that processes that have the library open find the other state
at their next question.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from index.errors import (
    BackupError,
    LibraryBusyError,
    LibraryDamagedError,
    LibraryNotEmptyError,
)
from index.health import check_database
from index.store import DATABASE, MIGRATIONS, Store, busy, connect, require_library

RESTORE_LOCK = "restore.lock"
WORKPLACE = "restoring"
DAMAGED = "quoth.db.damaged"

_SUFFIXES = ("", "-journal", "-wal", "-shm")
"""A database's files; a log that stays behind would be written into the next database of that name."""


def back_up(folder: Path, target: Path) -> None:
    """Write the library in `folder`, as it is now, to the new file `target`: whole or not at all.

    Who reads or writes the library meanwhile does not wait. Raises LibraryMissingError, and BackupError when
    the file exists or cannot be written.
    """
    require_library(folder)
    if target.exists():
        raise BackupError(f"{target} exists already; choose another name")
    partial = target.with_name(f"{target.name}.partial")
    with _explained(f"cannot write the backup {target}"):
        try:
            _remove_database(partial)  # of a backup that was killed
            with closing(connect(folder)) as source, closing(sqlite3.connect(partial)) as copy:
                source.backup(copy)
                # with a write-ahead log it could not be read where nothing can be written
                copy.execute("PRAGMA journal_mode = DELETE")
            partial.replace(target)
            _flush_names(target.parent)
        finally:
            _remove_database(partial)


def restore(source: Path, folder: Path, *, force: bool = False) -> None:
    """Put the library of the backup `source` in the place of the one in `folder`, created when missing.

    The backup is copied, brought up to date and checked before anything is replaced, and replaced in one
    transaction. A database there that is damaged beyond opening is kept under another name. Raises
    LibraryNotEmptyError when `folder` holds documents and `force` is not given, BackupError, and
    LibraryBusyError.
    """
    if not source.is_file():
        raise BackupError(f"there is no file {source}; check the name and the folder")
    with _explained(f"cannot restore {source} into {folder}"), _workplace(folder) as workplace:
        _fetch(source, workplace / DATABASE)
        with closing(Store(workplace)) as copy:
            _require_sound(copy, source)
        _make_room(folder, force)
        with closing(connect(workplace)) as copied, closing(connect(folder)) as live:
            _replace(copied, live, folder)


def _fetch(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as backup:
        try:
            tables = {name for (name,) in backup.execute("SELECT name FROM sqlite_master")}
            ((version,),) = backup.execute("PRAGMA user_version")
        except sqlite3.DatabaseError:
            tables, version = set(), 0
        if not version or not {"meta", "documents", "passages"} <= tables:
            raise BackupError(f"{source} is no backup of a Quoth library")
        if version > len(MIGRATIONS):
            raise BackupError(f"{source} was written by a newer version of Quoth; upgrade Quoth")
        with closing(sqlite3.connect(target)) as copy:
            backup.backup(copy)


def _require_sound(copy: Store, source: Path) -> None:
    faults = [check for check in check_database(copy) if not check.ok]
    for fault in faults:
        if not fault.derived:
            raise BackupError(f"the backup {source} is damaged ({fault.name}: {fault.detail})")
    if faults:
        with copy.writing():
            copy.rebuild_full_text()


def _make_room(folder: Path, force: bool) -> None:
    """The folder holds a database that may be replaced. Raises LibraryNotEmptyError."""
    try:
        with closing(Store(folder)) as present:
            count = len(present.records())
    except LibraryDamagedError:
        if not force:
            raise
        for suffix in _SUFFIXES:
            with suppress(FileNotFoundError):
                (folder / f"{DATABASE}{suffix}").replace(folder / f"{DAMAGED}{suffix}")
        Store(folder).close()
        return
    if count and not force:
        raise LibraryNotEmptyError(
            f"the library {folder} holds {count} documents; --force puts the backup in their place"
        )


def _replace(copied: sqlite3.Connection, live: sqlite3.Connection, folder: Path) -> None:
    def give_up(status: int, _remaining: int, _total: int) -> None:
        """SQLite has waited by then as long as a writer does, and Python would go on for ever."""
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise busy(folder)

    copied.backup(live, progress=give_up)


def _remove_database(path: Path) -> None:
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """An empty folder beside the database, for one process at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    workplace = folder / WORKPLACE
    try:
        with FileLock(folder / RESTORE_LOCK, timeout=0):
            shutil.rmtree(workplace, ignore_errors=True)  # of a process that was killed
            workplace.mkdir()
            try:
                yield workplace
            finally:
                shutil.rmtree(workplace, ignore_errors=True)
    except Timeout as error:
        raise LibraryBusyError(f"another process is restoring a backup into {folder}") from error


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"{what}: {error}") from error
    except OSError as error:
        raise BackupError(f"{what}: {error.strerror}") from error


def _flush_names(folder: Path) -> None:
    """Make a rename durable, where folders can be opened."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
