"""A library kept in step with a folder: what is new is added, what changed replaced, what is gone removed.

The folder is looked at every second or so, by its files' sizes and times. Notifications of the operating
system would be quicker by that second, but do not come from network drives and shared folders, and run out
for large trees.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from index.errors import (
    DocumentError,
    DocumentNotFoundError,
    LibraryBusyError,
    SourceNotFoundError,
    UnsupportedFormatError,
)
from index.language import language_of
from index.library import Library, Progress

POLL_SECONDS = 1.0
REST_SHARE = 20
"""A look that took long is followed by so many times its duration of rest."""

ProgressFor = Callable[[str], AbstractContextManager[Progress | None]]
"""Gives the progress of one file, by its name, for as long as it is read."""


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one file; `document_id` and `title` are empty where there is no document."""

    kind: Literal["added", "changed", "removed", "failed"]
    path: Path
    document_id: str = ""
    title: str = ""
    error: str = ""  # one line, of a failure
    language: str | None = None  # of a document that came, where it is sure: a key of index.language.NAMES


class _Signature(NamedTuple):
    """Another one says that the file may have changed, whichever way a clock went."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int  # of the inode: also when somebody set the time of modification back


@dataclass(frozen=True, slots=True)
class _Look:
    """The regular files of a folder, and the paths that nothing is known about."""

    files: dict[Path, _Signature]
    unreadable: list[Path]

    def misses(self, path: Path) -> bool:
        """Whether a file is surely not there any more."""
        return path not in self.files and not any(path.is_relative_to(each) for each in self.unreadable)


def watch(library: Library, folders: Sequence[Path], progress: ProgressFor | None = None) -> Iterator[Event]:
    """Keep the library in step with the folders for as long as the events are asked for.

    Raises SourceNotFoundError for what is no folder, and LibraryError subclasses.
    """
    watches = [FolderWatch(library, folder, progress) for folder in folders]
    while True:
        for each in watches:
            yield from each.events()
        time.sleep(max(POLL_SECONDS, REST_SHARE * sum(each.look_seconds for each in watches)))


class FolderWatch:
    """One folder with its subfolders, without hidden names and links to folders.

    Only what the folder brought is ever removed: a document that was in the library before stays, and so
    do all while the folder is not there, cannot be read or belongs to another device than at first (a drive
    was taken out). A document that a person removes comes back when its file changes, or with the next watch.
    """

    def __init__(self, library: Library, folder: Path, progress: ProgressFor | None = None) -> None:
        if not folder.is_dir():
            raise SourceNotFoundError(f"there is no folder {folder} to watch; check the name")
        self.folder = folder.resolve()
        self.look_seconds = 0.0
        self._library = library
        self._own_folder = library.folder.resolve()
        self._progress = progress or _unwatched
        self._device = self.folder.stat().st_dev
        self._before: dict[Path, _Signature] | None = None  # what the last look saw
        self._done: dict[Path, _Signature] = {}
        self._saw_files = False
        self._complaint = ""

    def events(self) -> Iterator[Event]:
        """Look once and bring the library in step with what two looks saw alike (the first one: at once).

        So a file that is still being written is left alone, and one that moves is not embedded again.
        """
        look = self._look()
        yield from self._complaints(look)
        for path, signature in look.files.items():
            if signature != self._done.get(path) and self._is_settled(path, signature):
                self._done[path] = signature
                yield from self._take(path)
        for path in self._library.sources(self.folder) if self._saw_files else ():
            if look.misses(path) and self._is_settled(path, None):
                yield from self._drop(path)
        self._done = {path: signature for path, signature in self._done.items() if path in look.files}
        self._before = look.files

    def _is_settled(self, path: Path, signature: _Signature | None) -> bool:
        return self._before is None or self._before.get(path) == signature

    def _take(self, path: Path) -> Iterator[Event]:
        earlier = self._library.source(path)
        try:
            with self._progress(path.name) as report:
                document = self._library.add_from_folder(path, report)
        except UnsupportedFormatError:
            return  # a folder holds all kinds of files
        except (LibraryBusyError, DocumentNotFoundError) as error:  # others write: the next look tries again
            del self._done[path]
            yield Event("failed", path, error=str(error))
        except DocumentError as error:
            kept = "; its earlier version stays" if earlier else ""
            yield Event("failed", path, error=f"{error}{kept}")
        else:
            if self._library.source(path) not in (None, earlier):
                kind: Literal["changed", "added"] = "changed" if earlier else "added"
                yield Event(kind, path, document.id, document.title, language=language_of(document))

    def _drop(self, path: Path) -> Iterator[Event]:
        try:
            document = self._library.remove_from_folder(path)
        except LibraryBusyError as error:  # the next look tries again
            yield Event("failed", path, error=str(error))
        else:
            if document is not None:
                yield Event("removed", path, document.id, document.title)

    def _complaints(self, look: _Look) -> Iterator[Event]:
        """What is wrong with the folder as a whole, once."""
        self._saw_files = self._saw_files or bool(look.files)
        complaint = ""
        if self.folder in look.unreadable:
            complaint = f"the folder {self.folder} cannot be read; what came from it stays"
        elif not self._saw_files and self._library.sources(self.folder):
            complaint = (
                f"the folder {self.folder} is empty; what came from it stays until there is a file in it"
            )
        if complaint not in ("", self._complaint):
            yield Event("failed", self.folder, error=complaint)
        self._complaint = complaint

    def _look(self) -> _Look:
        started = time.monotonic()
        look = _Look({}, [])
        try:
            if self.folder.stat().st_dev != self._device:
                raise FileNotFoundError
        except OSError:
            look.unreadable.append(self.folder)
        else:
            self._walk(look)
        self.look_seconds = time.monotonic() - started
        return look

    def _walk(self, look: _Look) -> None:
        def unreadable(error: OSError) -> None:
            look.unreadable.append(Path(error.filename))

        for where, folders, names in os.walk(self.folder, onerror=unreadable):  # links are not followed
            here = Path(where)
            folders[:] = sorted(name for name in folders if self._is_open(here / name))
            for name in sorted(names):
                if self._is_open(here / name):
                    _see(here / name, look)

    def _is_open(self, path: Path) -> bool:
        return not path.name.startswith(".") and path != self._own_folder


def _see(path: Path, look: _Look) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return  # gone already, or a link to nothing
    except OSError:
        look.unreadable.append(path)
        return
    if stat.S_ISREG(status.st_mode):
        look.files[path] = _Signature(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


def _unwatched(name: str) -> AbstractContextManager[None]:
    return nullcontext()
