from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from index import Library
from index.embedding import FakeEmbedder
from index.errors import LibraryBusyError, SourceNotFoundError
from index.watching import Event, FolderWatch, watch

CATS = "All about cats\n\nCats sleep sixteen hours a day. They hunt at dusk.\n"
DOGS = "All about dogs\n\nDogs sleep half the day. They guard the house at night.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "cats.txt").write_text(CATS)
    return folder


@pytest.fixture
def watching(library: Library, folder: Path) -> FolderWatch:
    """A watch that has taken what was there."""
    each = FolderWatch(library, folder)
    list(each.events())
    return each


def names(library: Library) -> list[str]:
    return [record.name for record in library.documents()]


def looks(watching: FolderWatch) -> list[tuple[str, str]]:
    """What two looks find: a file is taken when both saw it the same."""
    events = [*watching.events(), *watching.events()]
    return [(event.kind, event.path.name) for event in events]


def test_what_is_there_is_added(library: Library, folder: Path) -> None:
    (folder / "deep" / "er" / "dogs.md").write_text(DOGS)
    (folder / "picture.png").write_bytes(bytes(99))
    (folder / ".hidden.txt").write_text(DOGS)
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text(DOGS)
    events = list(FolderWatch(library, folder).events())
    assert [(event.kind, event.path) for event in events] == [
        ("added", folder / "cats.txt"),
        ("added", folder / "deep" / "er" / "dogs.md"),
    ]
    assert [event.document_id for event in events] == [record.id for record in library.documents()]
    assert list(FolderWatch(library, folder).events()) == []  # a later watch finds all in step


def test_new_changed_and_removed_files(library: Library, folder: Path, watching: FolderWatch) -> None:
    (folder / "dogs.txt").write_text(DOGS)
    assert looks(watching) == [("added", "dogs.txt")]
    (folder / "cats.txt").write_text(CATS + "\nThey purr.\n")
    assert looks(watching) == [("changed", "cats.txt")]
    assert names(library) == ["cats.txt", "dogs.txt"]  # in its place
    assert [len(library.matching([term], 9)) for term in ("purr", "hunt", "guard")] == [1, 1, 1]
    (folder / "dogs.txt").unlink()
    assert looks(watching) == [("removed", "dogs.txt")]
    assert names(library) == ["cats.txt"]
    assert looks(watching) == []
    assert all(check.ok for check in library.check())


def test_a_file_that_is_still_written_is_left_until_it_rests(
    library: Library, folder: Path, watching: FolderWatch
) -> None:
    for length in (1, 2, 3):
        (folder / "dogs.txt").write_text(DOGS * length)
        assert list(watching.events()) == []
    assert [event.kind for event in watching.events()] == ["added"]


def test_changes_while_nobody_watched(library: Library, folder: Path, watching: FolderWatch) -> None:
    (folder / "cats.txt").write_text(DOGS)
    os.utime(folder / "cats.txt", (0, 0))  # a clock that went wrong
    assert [event.kind for event in FolderWatch(library, folder).events()] == ["changed"]
    (folder / "other.txt").write_text(CATS)
    (folder / "cats.txt").unlink()
    assert sorted(event.kind for event in FolderWatch(library, folder).events()) == ["added", "removed"]
    assert names(library) == ["other.txt"]


def test_a_change_that_keeps_size_and_time_is_seen(folder: Path, watching: FolderWatch) -> None:
    before = (folder / "cats.txt").stat()
    (folder / "cats.txt").write_text(CATS.replace("dusk", "dawn"))
    os.utime(folder / "cats.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert looks(watching) == [("changed", "cats.txt")]


def test_a_file_that_moves_stays_one_document(
    library: Library, folder: Path, watching: FolderWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = library.documents()
    monkeypatch.setattr(library.embedder, "embed_passages", None)  # nothing is embedded again
    (folder / "cats.txt").rename(folder / "deep" / "kittens.txt")
    looks(watching)
    assert library.documents() == before
    assert library.source(folder / "deep" / "kittens.txt") == before[0].id
    assert library.source(folder / "cats.txt") is None


def test_two_files_with_the_same_content(library: Library, folder: Path, watching: FolderWatch) -> None:
    (folder / "copy.txt").write_text(CATS)
    looks(watching)
    (folder / "cats.txt").unlink()
    assert looks(watching) == []
    assert len(library.documents()) == 1
    (folder / "copy.txt").write_text(DOGS)
    assert looks(watching) == [("changed", "copy.txt")]
    assert [record.title for record in library.documents()] == ["All about dogs"]


def test_only_what_the_folder_brought_is_removed(library: Library, folder: Path) -> None:
    own = library.add(CATS.encode(), name="mine.txt")
    watching = FolderWatch(library, folder)
    assert looks(watching) == []  # it is there already
    (folder / "cats.txt").write_text(DOGS)
    assert looks(watching) == [("added", "cats.txt")]
    (folder / "cats.txt").write_text(CATS)
    looks(watching)
    assert names(library) == ["mine.txt"]
    (folder / "cats.txt").unlink()
    looks(watching)
    assert [record.id for record in library.documents()] == [own.id]


def test_another_folder_keeps_its_documents(library: Library, folder: Path, watching: FolderWatch) -> None:
    other = folder.with_name("notes 2")
    other.mkdir()
    (other / "dogs.txt").write_text(DOGS)
    list(FolderWatch(library, other).events())
    (folder / "deep" / "file.txt").write_text("Something else is written here.")
    (folder / "cats.txt").unlink()
    looks(watching)
    assert sorted(names(library)) == ["dogs.txt", "file.txt"]


def test_a_file_that_becomes_unreadable_keeps_its_earlier_version(
    library: Library, folder: Path, watching: FolderWatch
) -> None:
    (folder / "cats.txt").write_text(" \n")
    (event,) = [*watching.events(), *watching.events()]
    assert event.kind == "failed"
    assert "earlier version stays" in event.error
    assert looks(watching) == []  # it is said once
    assert names(library) == ["cats.txt"]
    (folder / "cats.txt").write_text(DOGS)
    assert looks(watching) == [("changed", "cats.txt")]


def test_links_in_circles_and_to_nothing(library: Library, folder: Path) -> None:
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "self.txt").symlink_to("self.txt")
    (folder / "nothing.txt").symlink_to("missing")
    os.mkfifo(folder / "pipe.txt")
    assert [event.path.name for event in FolderWatch(library, folder).events()] == ["cats.txt"]


def test_a_folder_that_goes_away_takes_nothing_with_it(
    library: Library, folder: Path, watching: FolderWatch
) -> None:
    away = folder.with_name("away")
    folder.rename(away)
    assert looks(watching) == [("failed", "notes")]
    assert names(library) == ["cats.txt"]
    away.rename(folder)
    assert looks(watching) == []
    (folder / "cats.txt").unlink()
    assert looks(watching) == [("removed", "cats.txt")]  # it is emptied before our eyes


def test_an_empty_folder_is_taken_for_a_drive_that_is_not_there(
    library: Library, folder: Path, watching: FolderWatch
) -> None:
    (folder / "cats.txt").unlink()
    later = FolderWatch(library, folder)
    assert looks(later) == [("failed", "notes")]
    assert names(library) == ["cats.txt"]
    (folder / "dogs.txt").write_text(DOGS)
    assert sorted(looks(later)) == [("added", "dogs.txt"), ("removed", "cats.txt")]


def test_the_library_itself_is_not_watched(library: Library, tmp_path: Path) -> None:
    (library.folder / "stray.txt").write_text(CATS)
    assert list(FolderWatch(library, tmp_path).events()) == []


def test_a_file_name_that_is_no_text(library: Library, folder: Path, watching: FolderWatch) -> None:
    odd = folder / os.fsdecode(b"caf\xe9.txt")
    odd.write_text(DOGS)
    assert [kind for kind, _ in looks(watching)] == ["added"]
    odd.unlink()
    assert [kind for kind, _ in looks(watching)] == ["removed"]


def test_a_busy_library_is_tried_again(
    library: Library, folder: Path, watching: FolderWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise LibraryBusyError("busy")

    (folder / "dogs.txt").write_text(DOGS)
    (folder / "cats.txt").unlink()
    list(watching.events())
    monkeypatch.setattr(library, "add_from_folder", busy)
    assert [(event.kind, event.error) for event in watching.events()] == [("failed", "busy"), ("removed", "")]
    monkeypatch.undo()
    assert looks(watching) == [("added", "dogs.txt")]
    assert names(library) == ["dogs.txt"]


def test_a_replaced_document_is_whole_or_the_earlier_one(
    library: Library, folder: Path, watching: FolderWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cats.txt").write_text(DOGS)
    monkeypatch.setattr(library._store, "_insert_passage", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        looks(watching)
    monkeypatch.undo()
    assert [record.title for record in library.documents()] == ["All about cats"]
    assert library.source(folder / "cats.txt") == library.documents()[0].id


def test_a_document_put_back_still_belongs_to_its_file(
    library: Library, folder: Path, watching: FolderWatch
) -> None:
    library.put_back(library.remove(library.documents()[0].id))
    (folder / "dogs.txt").write_text(DOGS)
    (folder / "cats.txt").unlink()
    assert ("removed", "cats.txt") in looks(watching)


def test_what_is_no_folder_cannot_be_watched(library: Library, folder: Path) -> None:
    for path in (folder / "cats.txt", folder / "missing"):
        with pytest.raises(SourceNotFoundError, match=path.name):
            next(watch(library, [path]))


def test_watching_goes_on(library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Callable[[], object]] = [
        lambda: (folder / "dogs.txt").write_text(DOGS),
        lambda: None,
        lambda: (folder / "cats.txt").unlink(),
        lambda: None,
    ]
    rests: list[float] = []

    def sleep(seconds: float) -> None:
        rests.append(seconds)
        steps.pop(0)()

    monkeypatch.setattr("time.sleep", sleep)
    with closing(watch(library, [folder])) as events:
        found: list[Event] = list(islice(events, 3))
    assert [(event.kind, event.path.name) for event in found] == [
        ("added", "cats.txt"),
        ("added", "dogs.txt"),
        ("removed", "cats.txt"),
    ]
    assert min(rests) >= 1


def test_a_second_library_of_the_same_folder_starts_anew(folder: Path, tmp_path: Path) -> None:
    with Library.open(tmp_path / "second", embedder=FakeEmbedder()) as second:
        assert [event.kind for event in FolderWatch(second, folder).events()] == ["added"]
