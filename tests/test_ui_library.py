"""The page's documents as a person handles them: a real server and a real Chromium, every fault counts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import GERMAN
from playwright.sync_api import Locator, Page, expect
from ui_fixtures import IN_BROWSER, PHONE, OpenPage, SteeredReader, ask, served, upload

from index import Library
from index.embedding import FakeEmbedder

pytestmark = IN_BROWSER

HOSTILE = "<img src=x onerror=window.pwned=1>${window.pwned=1}{{value}}`"

TEXTS = {
    "bees.md": "# Bees\n\nHoney bees sleep at night.\n",
    "wasps.md": "# Wasps\n\nWasps sleep in winter.\n",
    "ants.md": "# Ants\n\nAnts sleep in short naps.\n",
}


class HeldEmbedder(FakeEmbedder):
    """Stops at a text about snails until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def embed_passages(self, texts: Sequence[str], *arguments: Any) -> Any:
        if any("snail" in text for text in texts):
            assert self.let_go.wait(60)
        return super().embed_passages(texts, *arguments)


@pytest.fixture(scope="module")
def held() -> HeldEmbedder:
    return HeldEmbedder()


@pytest.fixture(scope="module")
def shared(held: HeldEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, str]]:
    """One library and its page for all tests, for starting takes seconds."""
    with Library.open(tmp_path_factory.mktemp("shared"), embedder=held) as library:
        library.add_bundled()  # else it comes by itself, and later
        with served(library) as address:
            yield library, address


@pytest.fixture
def shelf(shared: tuple[Library, str]) -> Library:
    """The library that the page shows, with Bees, Wasps and Ants."""
    library, _ = shared
    for record in library.documents():
        library.remove(record.id)
    for name, text in TEXTS.items():
        library.add(text.encode(), name=name)
    return library


@pytest.fixture
def url(shared: tuple[Library, str], shelf: Library) -> str:
    return shared[1]


def opener(page: Page) -> Locator:
    """The header's button, which says what is being asked."""
    return page.locator(".opener")


def panel_of(page: Page) -> Locator:
    """The panel, opened."""
    opener(page).click()
    panel = page.get_by_role("dialog", name="Library")
    expect(panel).to_be_visible()
    return panel


def titles(library: Library) -> list[str]:
    return [record.title for record in library.documents()]


def written(folder: Path, **texts: str) -> list[Path]:
    """Files of these names, each with a title and a sentence."""
    paths = []
    for name, text in texts.items():
        path = folder / f"{name}.md"
        path.write_text(f"# {name.title()}\n\n{text}\n", "utf-8")
        paths.append(path)
    return paths


def summary(page: Page) -> Locator:
    return page.locator("#adding").get_by_role("status")


# Adding


def test_many_files_are_added_one_after_another_and_a_bad_one_says_why(
    open_page: OpenPage, url: str, shelf: Library, tmp_path: Path
) -> None:
    page = open_page(url)
    moths, flies = written(tmp_path, moths="Moths rest by day.", flies="Flies rest on walls.")
    scan = tmp_path / "scan.xyz"
    scan.write_bytes(b"%SCAN")
    upload(page, moths, scan, flies)
    expect(summary(page)).to_have_text(re.compile(r"^Added 2 documents in \d+(\.\d)? s\.$"))
    assert titles(shelf) == ["Bees", "Wasps", "Ants", "Moths", "Flies"]
    expect(page.get_by_role("alert")).to_contain_text("scan.xyz: no parser for .xyz")
    page.get_by_role("button", name="Dismiss: scan.xyz").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_label("Your question")).to_be_focused()
    expect(page.locator(".page .title")).to_have_text("Moths")
    expect(opener(page)).to_have_text("2 of 5 documents")


def test_a_language_that_the_model_does_not_know_is_noticed_once(
    open_page: OpenPage, url: str, held: HeldEmbedder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(held, "languages", frozenset({"en"}))
    page = open_page(url)
    upload(page, *written(tmp_path, fluss=GERMAN, bach=f"{GERMAN} Der Bach auch."))
    expect(summary(page)).to_have_text(re.compile("^Added 2 documents"))
    expect(page.get_by_role("alert")).to_have_text(re.compile("^fluss.md seems to be in German"))
    page.get_by_role("button", name="Dismiss: fluss.md").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_one_is_cancelled_another_waits_and_questions_are_answered_meanwhile(
    open_page: OpenPage, url: str, shelf: Library, held: HeldEmbedder, tmp_path: Path
) -> None:
    held.let_go.clear()
    page = open_page(url)
    upload(page, *written(tmp_path, slow="The snail sleeps for years.", flies="Flies rest on walls."))
    slow = page.locator("#adding li").filter(has_text="slow.md")
    expect(slow).to_contain_text(re.compile(r"Indexing( 0 %)? · \d"))
    expect(page.locator("#adding li").filter(has_text="flies.md")).to_contain_text("Waiting")
    ask(page, "When do honey bees sleep?")
    slow.get_by_role("button", name="Cancel slow.md").click()
    expect(summary(page)).to_have_text(re.compile("^Added “Flies” in"))
    held.let_go.set()
    page.wait_for_timeout(300)  # for what was cancelled to come to its end
    assert titles(shelf) == ["Bees", "Wasps", "Ants", "Flies"]


def test_a_file_that_is_there_already_is_opened(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    page = open_page(url)
    copy = tmp_path / "copy.md"
    copy.write_text(TEXTS["wasps.md"], "utf-8")
    upload(page, copy)
    expect(summary(page)).to_have_text("“Wasps” was in the library already.")
    expect(page.locator(".page .title")).to_have_text("Wasps")
    expect(opener(page)).to_have_text("Wasps")


def test_files_are_dropped_anywhere(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    files = page.evaluate_handle(
        """() => {
          const files = new DataTransfer();
          files.items.add(new File(["# Moths\\n\\nMoths rest by day."], "moths.md"));
          files.items.add(new File(["# Flies\\n\\nFlies rest on walls."], "flies.md"));
          return files;
        }"""
    )
    target = page.get_by_text("Drop files or folders to add them")
    expect(target).to_be_hidden()
    page.locator("#reader").dispatch_event("dragenter", {"dataTransfer": files})
    expect(target).to_be_visible()
    page.locator("#reader").dispatch_event("dragleave", {"relatedTarget": None})
    expect(target).to_be_hidden()
    page.locator("#reader").dispatch_event("dragover", {"dataTransfer": files})
    page.locator("#question").dispatch_event("drop", {"dataTransfer": files})
    expect(target).to_be_hidden()
    expect(summary(page)).to_contain_text("Added 2 documents in")


def dropped(page: Page, *paths: Path) -> None:
    """Let go of files and folders of this machine above the page, as a hand would."""
    session = page.context.new_cdp_session(page)
    carried = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": carried})


def test_a_dropped_folder_brings_its_files_and_those_of_its_folders(
    open_page: OpenPage, url: str, shelf: Library, tmp_path: Path
) -> None:
    inner = tmp_path / "notes" / "inner"
    inner.mkdir(parents=True)
    written(tmp_path / "notes", moths="Moths rest by day.")
    written(inner, flies="Flies rest on walls.")
    (tmp_path / "notes" / ".hidden").write_text("not for anyone")
    page = open_page(url)
    dropped(page, tmp_path / "notes", *written(tmp_path, crickets="Crickets sing at night."))
    expect(summary(page)).to_have_text(re.compile("^Added 3 documents in"))
    assert set(titles(shelf)) >= {"Moths", "Flies", "Crickets"}
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_folder_of_many_files_is_listed_whole(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    for number in range(105):  # a browser lists a folder a hundred at a time
        (tmp_path / f"{number}.md").touch()
    page = open_page(url)
    dropped(page, tmp_path)
    expect(summary(page)).to_have_text("Adding 105 files")
    page.get_by_role("button", name="Cancel all").click()


def test_an_empty_folder_is_said(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    page = open_page(url)
    (tmp_path / "empty").mkdir()
    dropped(page, tmp_path / "empty")
    expect(page.get_by_role("alert")).to_have_text("There is no file in this folder.")


def test_all_that_wait_are_cancelled_and_all_that_failed_dismissed(
    open_page: OpenPage, url: str, shelf: Library, held: HeldEmbedder, tmp_path: Path
) -> None:
    held.let_go.clear()
    page = open_page(url)
    scans = [tmp_path / f"scan{number}.xyz" for number in range(2)]
    for scan in scans:
        scan.write_bytes(b"%SCAN")
    cancel, dismiss = (page.get_by_role("button", name=f"{what} all") for what in ("Cancel", "Dismiss"))
    upload(page, *scans, *written(tmp_path, slow="The snail sleeps for years.", flies="Flies rest on walls."))
    expect(page.locator("#adding li").filter(has_text="slow.md")).to_contain_text("Indexing")
    expect(page.locator("#adding")).to_contain_text("2 still to be added")
    expect(page.locator("#adding")).to_contain_text("2 messages")
    cancel.click()
    expect(cancel).to_be_hidden()
    expect(page.locator("#adding li")).to_have_count(2)
    dismiss.click()
    expect(page.locator("#adding li")).to_have_count(0)
    expect(dismiss).to_be_hidden()
    expect(page.get_by_label("Your question")).to_be_focused()
    held.let_go.set()
    page.wait_for_timeout(300)  # for what was cancelled to come to its end
    assert titles(shelf) == ["Bees", "Wasps", "Ants"]


def test_text_is_pasted_as_a_document(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    panel = panel_of(page)
    panel.get_by_role("button", name="Paste text").click()
    expect(panel.get_by_label("Title")).to_be_focused()
    panel.get_by_label("Title").fill("A note")
    panel.get_by_label("Text").fill("Crickets sing at night.")
    panel.get_by_role("button", name="Add text").click()
    expect(panel).to_be_hidden()
    expect(summary(page)).to_contain_text("Added “A note” in")
    expect(page.locator(".page .title")).to_have_text("A note")
    expect(page.locator(".page")).to_contain_text("Crickets sing at night.")


# Choosing


def test_several_documents_are_asked_and_the_choice_is_kept(
    open_page: OpenPage, url: str, shelf: Library
) -> None:
    bees, _, ants = (record.id for record in shelf.documents())
    page = open_page(url)
    expect(opener(page)).to_have_text("Bees")
    panel = panel_of(page)
    panel.get_by_role("checkbox", name="Ask “Ants”").check()
    expect(opener(page)).to_have_text("2 of 3 documents")
    page.keyboard.press("Escape")
    ask(page, "When do they sleep?")
    named = page.locator(".turn [data-document]")
    assert {node.get_attribute("data-document") for node in named.all()} == {bees, ants}
    expect(page.locator(".turn")).to_have_class(re.compile("titled"))
    page.reload()
    expect(opener(page)).to_have_text("2 of 3 documents")
    expect(open_page(f"{url}/?doc={ants},{bees}").locator(".page .title")).to_have_text("Ants")
    page.goto(url)  # without an address, the browser remembers
    expect(opener(page)).to_have_text("2 of 3 documents")


def test_all_documents_are_asked_or_none(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    panel = panel_of(page)
    everything = panel.get_by_role("checkbox", name="All documents")
    assert everything.evaluate("box => box.indeterminate")
    everything.check()
    expect(opener(page)).to_have_text("All 3 documents")
    page.reload()
    expect(opener(page)).to_have_text("All 3 documents")
    panel_of(page)
    for title in ("Bees", "Wasps", "Ants"):
        panel.get_by_role("checkbox", name=f"Ask “{title}”").uncheck()
    expect(opener(page)).to_have_text("No document chosen")
    page.keyboard.press("Escape")
    page.get_by_label("Your question").fill("Why?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No document is chosen")
    expect(page.get_by_label("Your question")).to_have_value("Why?")


def test_who_comes_while_the_model_loads_asks_the_first_document(open_page: OpenPage, shelf: Library) -> None:
    reader = SteeredReader()
    with served(shelf, reader) as address:
        page = open_page(address)
        expect(page.get_by_role("status").filter(has_text="Loading the model")).to_be_visible()
        expect(opener(page)).to_have_text("Bees")
        reader.loaded.set()


def test_who_asks_one_document_asks_the_one_that_is_read(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    panel = panel_of(page)
    panel.get_by_role("button", name="Wasps wasps.md").click()
    expect(panel).to_be_hidden()
    expect(page.locator(".page .title")).to_have_text("Wasps")
    expect(opener(page)).to_have_text("Wasps")
    panel_of(page).get_by_role("checkbox", name="Ask “Bees”").check()
    panel.get_by_role("button", name="Ants ants.md").click()
    expect(page.locator(".page .title")).to_have_text("Ants")
    expect(opener(page)).to_have_text("2 of 3 documents")


def test_an_address_that_names_what_is_gone_says_so(open_page: OpenPage, url: str, shelf: Library) -> None:
    page = open_page(f"{url}/?doc={shelf.documents()[1].id},nonsense")
    expect(page.get_by_role("alert")).to_contain_text("not in the library")
    expect(opener(page)).to_have_text("Wasps")


def test_the_panel_shows_what_another_process_did(open_page: OpenPage, url: str, shelf: Library) -> None:
    page = open_page(url)
    expect(opener(page)).to_have_text("Bees")
    shelf.remove(shelf.documents()[0].id)
    shelf.add(b"# Moths\n\nMoths rest by day.\n", name="moths.md")
    panel = panel_of(page)
    expect(panel.locator(".documents .name")).to_have_text(["Wasps", "Ants", "Moths"])
    expect(page.locator(".page .title")).to_have_text("Wasps")
    expect(opener(page)).to_have_text("Wasps")


# Renaming and removing


def test_a_document_is_renamed_in_place(open_page: OpenPage, url: str, shelf: Library) -> None:
    page = open_page(url)
    panel = panel_of(page)
    panel.get_by_role("button", name="Rename “Bees”").click()
    field = panel.get_by_label("New title of “Bees”")
    field.fill("Nothing")
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(panel).to_be_visible()
    expect(panel.get_by_role("button", name="Rename “Bees”")).to_be_focused()
    page.keyboard.press("Enter")
    field.fill("Hives")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="Rename “Hives”")).to_be_focused()
    expect(opener(page)).to_have_text("Hives")
    expect(page.locator(".page .title")).to_have_text("Hives")
    assert titles(shelf) == ["Hives", "Wasps", "Ants"]


def test_a_removal_is_undone(open_page: OpenPage, url: str, shelf: Library) -> None:
    page = open_page(url)
    panel = panel_of(page)
    panel.get_by_role("button", name="Remove “Bees”").click()
    expect(panel.get_by_text("Removed “Bees”.")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Removed “Bees”.")).to_have_count(1)
    expect(page.locator(".page .title")).to_have_text("Wasps")
    assert titles(shelf) == ["Wasps", "Ants"]
    expect(panel.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel.locator(".documents .name")).to_have_text(["Bees", "Wasps", "Ants"])
    expect(page.locator(".page .title")).to_have_text("Bees")
    expect(opener(page)).to_have_text("Bees")
    expect(panel.get_by_role("button", name="Undo")).to_have_count(0)


def test_the_last_document_can_be_removed(open_page: OpenPage, url: str, shelf: Library) -> None:
    page = open_page(url)
    panel = panel_of(page)
    for title in ("Bees", "Wasps", "Ants"):
        panel.get_by_role("button", name=f"Remove “{title}”").click()
        expect(panel.get_by_text(f"Removed “{title}”.")).to_be_visible()
    expect(opener(page)).to_have_text("Add a document")
    expect(page.locator(".page .title")).to_have_count(0)
    expect(page.locator(".greeting")).to_contain_text("Add a document to begin")
    page.keyboard.press("Escape")
    page.get_by_label("Your question").fill("Why?")
    page.keyboard.press("Enter")
    expect(page.locator(".turn .line")).to_contain_text("There is no document to search yet.")


def test_a_step_that_fails_is_said_in_the_panel(open_page: OpenPage, url: str, shelf: Library) -> None:
    page = open_page(url)
    panel = panel_of(page)
    expect(panel.locator(".documents .name")).to_have_count(3)
    shelf.remove(shelf.documents()[2].id)
    panel.get_by_role("button", name="Remove “Ants”").click()
    expect(panel.get_by_role("alert")).to_contain_text("No document")


# For everyone


def test_the_panel_is_used_by_keyboard_alone(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    opener(page).focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Library")
    expect(panel).to_be_focused()
    expect(opener(page)).to_have_attribute("aria-expanded", "true")
    order = ["Add files", "Paste text", "All documents", "Ask “Bees”"]
    for name in order:
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        expect(focused).to_have_accessible_name(name)
        assert focused.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    page.keyboard.press("Space")
    expect(opener(page)).to_have_text("No document chosen")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(opener(page)).to_be_focused()
    expect(opener(page)).to_have_attribute("aria-expanded", "false")


@pytest.mark.parametrize("width", [PHONE["width"], 320])
def test_on_a_phone_the_panel_is_a_sheet(open_page: OpenPage, url: str, shelf: Library, width: int) -> None:
    shelf.rename(shelf.documents()[0].id, "Bees " + "and_their_hives" * 9)
    page = open_page(url, viewport={"width": width, "height": 640})
    panel = panel_of(page)
    box = panel.bounding_box()
    assert box
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, width, 640)
    for node in (panel, page.locator("html")):
        assert node.evaluate("node => node.scrollWidth <= node.clientWidth")
    for target in panel.locator("button:visible, label:visible").all():
        size = target.bounding_box()
        assert size
        assert min(size["width"], size["height"]) >= 24
    panel.get_by_role("button", name="Wasps wasps.md").click()
    expect(panel).to_be_hidden()
    expect(page.locator("#right")).to_be_visible()
    expect(page.locator(".page .title")).to_have_text("Wasps")


def test_no_title_name_or_text_is_ever_run(open_page: OpenPage, url: str, tmp_path: Path) -> None:
    page = open_page(url)
    good = tmp_path / f"{HOSTILE.replace('/', '')}.md"
    good.write_text("Crickets sing.", "utf-8")
    bad = tmp_path / f"{HOSTILE}.xyz"
    bad.write_text("x", "utf-8")
    upload(page, bad, good)
    expect(page.get_by_role("alert")).to_contain_text(HOSTILE)
    expect(summary(page)).to_contain_text(HOSTILE)
    panel = panel_of(page)
    panel.get_by_role("button", name="Paste text").click()
    panel.get_by_label("Title").fill(f"{HOSTILE} pasted")
    panel.get_by_label("Text").fill(f"Text {HOSTILE}.")
    panel.get_by_role("button", name="Add text").click()
    expect(summary(page)).to_contain_text(f"{HOSTILE} pasted")
    panel_of(page)
    panel.get_by_role("button", name="Rename “Bees”").click()
    panel.get_by_label("New title").fill(f"{HOSTILE} renamed")
    page.keyboard.press("Enter")
    panel.get_by_role("button", name=f"Remove “{HOSTILE} renamed”").click()
    expect(panel.locator(".removals")).to_contain_text(HOSTILE)
    page.reload()
    expect(page.locator(".page .title")).to_be_attached()
    panel_of(page)
    expect(panel.locator(".documents .name").filter(has_text=HOSTILE)).to_have_count(2)
    assert page.evaluate("window.pwned") is None
    assert page.locator("#library img, #adding img, .reader img").count() == 0
