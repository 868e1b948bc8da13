"""The page as a person uses it: a real server, a real Chromium, the real model.

Every test also fails when a script throws or when anything is requested from elsewhere than the server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from ui_fixtures import (
    IN_BROWSER,
    PHONE,
    OpenPage,
    SteeredReader,
    ask,
    highlighted,
    plain,
    served,
    steered_reader,
    upload,
)

from index import Library
from index.embedding import FakeEmbedder
from index.errors import ModelError
from rag.reader import OperatingPoint

RADAR = "Why did Tesla remove radar and lidar?"
NOT_IN_IT = "Which GPU did Karpathy buy in Paris?"

pytestmark = IN_BROWSER


@pytest.fixture(scope="module")
def abstaining_url(real_library: Library) -> Iterator[str]:
    """The same, but nothing is ever sure enough."""
    with served(real_library, steered_reader(decides=OperatingPoint(answer=1.2, unsure=1.1))) as address:
        yield address


def answered_page(open_page: OpenPage, url: str, **options: Any) -> Page:
    page = open_page(url, **options)
    ask(page, RADAR)
    return page


# Asking and checking


def test_a_citation_shows_the_quoted_sentence_in_its_place(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    quotes = page.locator(".passages .quote")
    assert 1 <= quotes.count() <= 3
    for number in range(quotes.count()):
        quotes.nth(number).locator(".marker").click()
        assert highlighted(page) == plain(quotes.nth(number).locator(".words").text_content())
        expect(page.locator(".s.current").first).to_be_in_viewport()


def test_the_answer_cites_the_section_that_says_it(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    expected = re.compile(r"Software 2\.0 and the Tesla Data Engine › Digging Deeper|Q&A")
    expect(page.locator(".sources").get_by_text(expected).first).to_be_visible()
    expect(page.locator(".confidence")).to_contain_text(re.compile(r"\w+ confidence · \d+ %"))


def test_no_text_of_an_answer_stands_twice(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    turn = plain(page.locator(".turn").text_content())
    for words in page.locator(".words").all_text_contents():
        assert turn.count(plain(words)) == 1


def test_citations_are_stepped_through(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    total = page.locator(".passages .marker").count()
    seen = [highlighted(page)]
    for _ in range(total - 1):
        page.get_by_role("button", name="Next citation").click()
        seen.append(highlighted(page))
    expect(page.locator(".position")).to_have_text(f"{total} / {total}")
    assert seen == [plain(words) for words in page.locator(".passages .words").all_text_contents()]


def test_an_earlier_answer_can_be_checked_again(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    ask(page, "How does Karpathy view the Fermi Paradox?")
    first = page.locator(".turn").first
    first.locator(".passages .marker").first.click()
    assert highlighted(page) == plain(first.locator(".words").first.text_content())
    expect(page.locator(".marker.current")).to_have_count(1)
    expect(first.locator(".marker.current")).to_have_count(1)


def test_the_keyboard_alone_leads_to_the_sentence_and_back(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.keyboard.type(RADAR)  # the field has the focus from the start
    page.keyboard.press("Enter")
    marker = page.locator(".passages .marker").first
    marker.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".s.current").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(marker).to_be_focused()


def test_sections_are_jumped_to_and_show_citations(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    page.get_by_text("Sections", exact=True).click()
    outline = page.get_by_role("navigation", name="Sections")
    expect(outline.locator(".badge").first).to_be_visible()
    outline.get_by_role("button", name="Key Takeaways").click()
    expect(page.locator(".page").get_by_role("heading", name="Key Takeaways")).to_be_in_viewport()


def test_what_the_document_does_not_say_is_said_and_leads_are_shown(
    open_page: OpenPage, abstaining_url: str
) -> None:
    page = open_page(abstaining_url)
    ask(page, NOT_IN_IT)
    turn = page.locator(".turn")
    expect(turn.locator(".line")).to_contain_text("The document does not say.")
    expect(turn.get_by_role("heading", name="Closest passages")).to_be_visible()
    expect(turn.locator(".passages")).to_have_count(0)
    turn.locator(".lead .marker").first.click()
    assert highlighted(page) == plain(turn.locator(".lead .words").first.text_content())


def test_a_failed_question_is_not_suggested_again(open_page: OpenPage, abstaining_url: str) -> None:
    page = open_page(abstaining_url)
    example = page.locator(".example").first.inner_text()
    ask(page, example)
    ask(page, NOT_IN_IT)
    suggested = page.locator(".turn").last.locator(".example").all_inner_texts()
    assert suggested
    assert not {example, NOT_IN_IT} & set(suggested)


def test_what_can_be_asked_instead_is_offered_again_after_a_reload(
    open_page: OpenPage, abstaining_url: str
) -> None:
    page = open_page(abstaining_url)
    ask(page, NOT_IN_IT)
    offered = page.locator(".turn .example").all_inner_texts()
    assert offered
    page.reload()
    expect(page.locator(".turn .example")).to_have_text(offered)


def test_what_another_document_answers_is_not_offered(open_page: OpenPage, own_library: Library) -> None:
    own_library.add_bundled()
    bees = own_library.add(b"Bees sleep at night.\n", name="bees.txt")
    with served(own_library) as address:
        page = open_page(f"{address}/?doc={bees.id}")
        page.locator(".opener").click()
        page.get_by_role("checkbox", name="All documents").check()
        page.get_by_role("button", name="Hacking").first.click()
        expect(page.locator(".greeting .example").first).to_be_visible()
        page.locator(".opener").click()
        page.get_by_role("checkbox", name="Ask “Hacking").uncheck()
        expect(page.locator(".greeting .example")).to_have_count(0)


def test_an_example_is_asked_with_a_click(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    example = page.locator(".example").first
    question = example.inner_text()
    example.click()
    expect(page.locator(".turn:not(.pending) .asked")).to_have_text(question)


def test_an_unsure_answer_looks_different_from_both(open_page: OpenPage, real_library: Library) -> None:
    with served(real_library, steered_reader(decides=OperatingPoint(answer=1.1, unsure=0.0))) as address:
        page = answered_page(open_page, address)
        expect(page.locator(".turn.unsure .line")).to_contain_text("Not sure: this may answer it.")
        expect(page.locator(".turn.unsure .lead").first).to_be_visible()


def test_the_conversation_survives_a_reload_and_ends_with_a_new_one(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    words = page.locator(".words").all_text_contents()
    page.reload()
    expect(page.locator(".turn:not(.pending)")).to_have_count(1)
    assert page.locator(".words").all_text_contents() == words
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator(".s.cited")).to_have_count(0)
    page.reload()
    expect(page.locator(".greeting")).to_be_visible()


def test_a_damaged_memory_of_the_conversation_is_forgotten(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    page.evaluate("localStorage.setItem('quoth-conversation', 'garbage')")
    page.goto(url)
    expect(page.locator(".greeting .example").first).to_be_visible()


def test_an_address_holds_document_and_question(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url)
    expect(page).to_have_url(re.compile(r"doc=[^&]+&q=Why"))
    other = open_page(page.url)
    expect(other.locator(".turn:not(.pending) .asked")).to_have_text(RADAR)


def test_an_address_of_a_missing_document_says_so(open_page: OpenPage, url: str) -> None:
    page = open_page(f"{url}/?doc=nonsense")
    expect(page.get_by_role("alert")).to_contain_text("not in the library")
    expect(page.locator(".page .title")).to_be_visible()


def test_a_long_question_does_not_break_the_layout(open_page: OpenPage, url: str) -> None:
    page = open_page(url, viewport=PHONE)
    ask(page, "x" * 4_990)
    for selector in (".log", "#left", "html"):
        width, room = page.locator(selector).evaluate("node => [node.scrollWidth, node.clientWidth]")
        assert width <= room
    expect(page.locator(".turn .line")).to_be_in_viewport()


def test_a_question_that_fails_is_given_back(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.get_by_label("Your question").fill("x" * 5_001)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("5,000")
    expect(page.get_by_label("Your question")).to_have_value("x" * 5_001)
    expect(page.locator(".turn")).to_have_count(0)


# Documents


def test_an_uploaded_document_is_opened_and_asked(
    open_page: OpenPage, own_library: Library, tmp_path: Path
) -> None:
    own_library.add_bundled()
    notes = tmp_path / "bees.md"
    notes.write_text("# Bees\n\n## Sleep\n\nHoney bees sleep between five and eight hours a day.\n", "utf-8")
    with served(own_library) as address:
        page = open_page(address)
        upload(page, notes)
        expect(page.get_by_role("status").filter(has_text="Added “Bees” in")).to_be_visible()
        expect(page.locator(".page .title")).to_have_text("Bees")
        ask(page, "How long do honey bees sleep?")
        assert highlighted(page) == "Honey bees sleep between five and eight hours a day."
        assert len(own_library.documents()) == 2


def test_a_citation_of_another_document_opens_it(open_page: OpenPage, own_library: Library) -> None:
    own_library.add_bundled()
    bees = own_library.add(b"# Bees\n\nHoney bees sleep at night.\n", name="bees.md")
    with served(own_library) as address:
        page = answered_page(open_page, address)
        words = plain(page.locator(".words").first.text_content())
        page.get_by_role("button", name="Asked: Hacking").click()
        page.get_by_role("button", name=f"{bees.title} bees.md").click()
        expect(page.locator(".page .title")).to_have_text(bees.title)
        page.locator(".marker").first.click()
        expect(page.locator(".page .title")).to_contain_text("Hacking the Universe")
        assert highlighted(page) == words


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("scan.pdf", b"%PDF-1.7", "scan.pdf"),
        ("empty.txt", b" \n", "empty"),
        ("zero.txt", bytes(64), "zero.txt"),
    ],
)
def test_a_file_that_cannot_be_added_is_said_in_one_line(
    open_page: OpenPage, url: str, tmp_path: Path, name: str, content: bytes, line: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    page = open_page(url)
    upload(page, path)
    expect(page.get_by_role("alert")).to_contain_text(re.compile(line, re.IGNORECASE))
    expect(page.locator(".page .title")).to_contain_text("Hacking the Universe")


HOSTILE = """# <img src=x onerror=pwned=1> ${window.pwned=1} {{value}} `x`

Bees dance <script>window.pwned=1</script> ${window.pwned=1} {{#each value}}x{{/each}} `${window.pwned=1}`.

## <svg onload=window.pwned=1> ${window.pwned=1}

- Bees </span></section><img src=x onerror=window.pwned=1> sleep.

Q: Do <b onclick=window.pwned=1>bees</b> ${window.pwned=1} sing?

A: Bees ${window.pwned=1} hum <iframe srcdoc="<script>parent.pwned=1</script>"></iframe> \\`.
"""


def test_hostile_text_is_shown_and_never_run(open_page: OpenPage, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=pwned=1>${window.pwned=1}{{value}}`.txt"
    path.write_text(HOSTILE, "utf-8")
    with Library.open(tmp_path / "hostile", embedder=FakeEmbedder()) as library, served(library) as address:
        page = open_page(address)
        upload(page, path)
        expect(page.locator(".page .title")).to_contain_text("onerror")
        page.locator(".example").first.click()
        expect(page.locator(".turn:not(.pending)")).to_have_count(1)
        ask(page, "Do bees ${window.pwned=1} sing? <img src=x onerror=window.pwned=1> {{value}} `")
        page.locator(".marker").first.click()
        page.reload()
        expect(page.locator(".turn:not(.pending)")).to_have_count(2)
        assert page.evaluate("window.pwned") is None
        assert page.locator(".reader img, .reader script, .reader iframe, .log img").count() == 0
        expect(page.locator(".page")).to_contain_text("${window.pwned=1} {{#each value}}")


# Loading


def test_the_page_can_be_read_and_asked_while_the_model_loads(
    open_page: OpenPage, real_library: Library
) -> None:
    reader = SteeredReader()
    with served(real_library, reader) as address:
        page = open_page(address)
        expect(page.get_by_role("status").filter(has_text="Loading the model")).to_be_visible()
        expect(page.locator(".page .title")).to_contain_text("Hacking the Universe")
        page.get_by_label("Your question").fill(RADAR)
        page.keyboard.press("Enter")
        expect(page.locator(".turn.pending")).to_be_visible()
        reader.loaded.set()
        expect(page.locator(".turn.answered")).to_be_visible()
        expect(page.locator(".notice")).to_be_hidden()


def test_a_waiting_question_is_dropped_with_its_conversation(
    open_page: OpenPage, real_library: Library
) -> None:
    reader = SteeredReader()
    with served(real_library, reader) as address:
        page = open_page(address)
        page.get_by_label("Your question").fill(RADAR)
        page.keyboard.press("Enter")
        expect(page.locator(".turn.pending")).to_be_visible()
        page.get_by_role("button", name="New chat").click()
        expect(page.locator(".greeting")).to_be_visible()
        reader.loaded.set()
        ask(page, "What is Software 2.0?")
        expect(page.locator(".turn")).to_have_count(1)


def test_a_model_that_cannot_be_loaded_is_said_in_one_line(
    open_page: OpenPage, real_library: Library
) -> None:
    reader = steered_reader(load_error=ModelError("the weights are damaged; reinstall them"))
    with served(real_library, reader) as address:
        page = open_page(address)
        expect(page.get_by_role("alert")).to_have_text("A model cannot be loaded; the server's log says why")
        page.get_by_label("Your question").fill(RADAR)
        page.keyboard.press("Enter")
        expect(page.get_by_label("Your question")).to_have_value(RADAR)
        expect(page.get_by_role("alert")).to_have_text("A model cannot be loaded; the server's log says why")


# How it looks


def test_on_a_phone_the_reader_is_a_sheet(open_page: OpenPage, url: str) -> None:
    page = answered_page(open_page, url, viewport=PHONE)
    reader = page.locator("#right")
    expect(reader).to_be_hidden()
    page.locator(".marker").first.click()
    expect(page.locator(".s.current").first).to_be_in_viewport()
    box = reader.bounding_box()
    assert box
    assert box["height"] == pytest.approx(0.64 * PHONE["height"], abs=1)
    page.get_by_role("button", name="Close the document").click()
    expect(reader).to_be_hidden()
    page.get_by_role("button", name="Read", exact=True).click()
    expect(reader).to_be_visible()
    page.keyboard.press("Escape")
    expect(reader).to_be_hidden()
