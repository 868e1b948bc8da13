"""The page for everyone: axe-core in every state and theme, the keyboard alone, small and large screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect
from ui_fixtures import DESKTOP, IN_BROWSER, PHONE, OpenPage, ask, plain, served, steered_reader

from index import Library
from index.embedding import FakeEmbedder
from rag.reader import OperatingPoint

RADAR = "Why did Tesla remove radar and lidar?"
NOT_IN_IT = "Which GPU did Karpathy buy in Paris?"
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = IN_BROWSER


THEMES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "forced_colors": "none"},
    "dark": {"color_scheme": "dark", "forced_colors": "none"},
    "forced": {"color_scheme": "light", "forced_colors": "active"},
}


@pytest.fixture(scope="module")
def unsure_url(real_library: Library) -> Iterator[str]:
    with served(real_library, steered_reader(decides=OperatingPoint(answer=1.1, unsure=0.0))) as address:
        yield address


def violations(page: Page) -> list[str]:
    """What axe-core finds, on a phone in light, else in light, in dark and in forced colours: theme, rule and
    where, one line each."""
    page.evaluate(AXE)
    themes = ["light"] if page.viewport_size == PHONE else list(THEMES)
    return [fault for theme in themes for fault in violations_in(page, theme, THEMES[theme])]


def violations_in(page: Page, theme: str, media: dict[str, Any]) -> list[str]:
    page.emulate_media(**media)
    expect(page.locator("body.dark")).to_have_count(1 if theme == "dark" else 0)
    page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
    found = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)["violations"]
    return [f"{theme}: {each['id']}: {node['html'][:120]}" for each in found for node in each["nodes"]]


def menu(name: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=name, exact=True).click()


def editing(page: Page) -> None:
    page.get_by_role("button", name="Edit and ask again").first.click()


def judging(page: Page) -> None:
    page.get_by_role("button", name="Not helpful", exact=True).first.click()


def picking(page: Page) -> None:
    judging(page)
    page.get_by_role("button", name="The answer is here…").click()
    page.keyboard.press("ArrowDown")


def citing(page: Page) -> None:
    page.locator(".marker").first.click()


def sections(page: Page) -> None:
    citing(page)  # on a phone the document is a sheet
    page.get_by_text("Sections", exact=True).click()


def failing(page: Page) -> None:
    page.get_by_label("Your question").fill("x" * 5_001)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()


STATES: dict[str, Callable[[Page], None]] = {
    "answered": lambda page: None,
    "cited": citing,
    "sections": sections,
    "edited": editing,
    "judged": judging,
    "picked": picking,
    "chats": menu("Chats"),
    "export": menu("Export"),
    "settings": menu("Settings"),
    "failed": failing,
}


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_in_any_state(open_page: OpenPage, url: str, viewport: ViewportSize) -> None:
    page = open_page(url, viewport=viewport)
    found = {"greeting": violations(page)}
    ask(page, NOT_IN_IT)
    found["not found"] = violations(page)
    page.get_by_role("button", name="New chat").click()
    expect(page.locator(".greeting")).to_be_visible()
    ask(page, RADAR)
    for state, enter in STATES.items():
        enter(page)
        found[state] = violations(page)
        page.keyboard.press("Escape")
        page.reload()
        expect(page.locator(".turn.answered .words").first).to_be_visible()
    assert {state: faults for state, faults in found.items() if faults} == {}


def test_axe_finds_nothing_in_an_unsure_answer(open_page: OpenPage, unsure_url: str) -> None:
    page = open_page(unsure_url)
    ask(page, RADAR)
    assert violations(page) == []


FOCUSED = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
HAS_RING = """() => {
    const node = document.activeElement;
    const field = node.closest('.input-container');
    return node === document.body || getComputedStyle(node).outlineStyle !== 'none'
        || (field && getComputedStyle(field).boxShadow !== 'none');
}"""


def test_everything_is_reached_with_the_keyboard(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.keyboard.type(RADAR)
    page.keyboard.press("Enter")
    expect(page.locator(".turn.answered")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    reached: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(plain(page.evaluate(FOCUSED)))
        assert page.evaluate(HAS_RING), reached[-1]
    wanted = {"New chat", "Chats", "Export", "Settings", "Edit and ask again", "Copy", "Helpful"}
    assert wanted | {"Not helpful", "Next citation", "Previous citation", "Sections"} <= set(reached)


@pytest.mark.parametrize("size", [(320, 640), (720, 450)])
def test_nothing_is_lost_on_a_narrow_or_magnified_page(
    open_page: OpenPage, url: str, size: tuple[int, int]
) -> None:
    page = open_page(url, viewport={"width": size[0], "height": size[1]})
    ask(page, RADAR)
    width, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= room
    for button in page.locator("#top button:visible, .turn button:visible").all():
        box = button.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0] + 0.5
        assert min(box["width"], box["height"]) >= 23.9


def test_a_marker_stands_at_the_end_of_its_quote(open_page: OpenPage, url: str) -> None:
    page = open_page(url, viewport=PHONE)
    ask(page, NOT_IN_IT)
    for width in (300, 320, 360, 390, 420):
        page.set_viewport_size({"width": width, "height": 640})
        for quote in page.locator(".quote").all():
            right, bottom = quote.locator(".words").evaluate(
                "node => [...node.getClientRects()].map(({ right, bottom }) => [right, bottom]).at(-1)"
            )
            box = quote.locator(".marker").bounding_box()
            assert box
            assert box["x"] + box["width"] <= right + 0.5
            assert box["y"] < bottom


@pytest.mark.parametrize("name", ["Chats", "Export", "Settings"])
def test_a_menu_lies_on_a_narrow_page(open_page: OpenPage, url: str, name: str) -> None:
    page = open_page(url, viewport={"width": 320, "height": 640})
    menu(name)(page)
    box = page.locator(".menu:popover-open").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320


def test_reduced_motion_is_respected(open_page: OpenPage, url: str) -> None:
    page = open_page(url, reduced_motion="reduce")
    ask(page, RADAR)
    assert (
        page.evaluate("document.getAnimations().filter((each) => each.playState === 'running').length") == 0
    )


def test_an_arabic_document_runs_from_right_to_left(open_page: OpenPage, tmp_path: Any) -> None:
    text = "النحل\n\nينام النحل في الليل. يرقص النحل أمام الخلية.\n\n- العسل\n- الشمع\n"
    with Library.open(tmp_path / "arabic", embedder=FakeEmbedder()) as library:
        library.add(text.encode(), name="bees.txt")
        with served(library) as address:
            page = open_page(address, viewport=DESKTOP)
            first = page.locator(".page p .s").first
            assert first.evaluate("node => getComputedStyle(node.parentElement).direction") == "rtl"
            item = page.locator(".page .list_item").first
            assert item.evaluate("node => getComputedStyle(node).paddingRight") != "0px"
            ask(page, "متى ينام النحل؟")
            quote = page.locator(".turn .quote").first
            assert quote.evaluate("node => getComputedStyle(node).direction") == "rtl"
            words, marker = (quote.locator(part).bounding_box() for part in (".words", ".marker"))
            assert words
            assert marker
            assert marker["x"] < words["x"] + words["width"] / 2


COUNT_ANNOUNCEMENTS = """() => {
    window.said = [];
    const status = document.querySelector('#conversation [role=status]');
    const watch = { childList: true, characterData: true, subtree: true };
    new MutationObserver(() => window.said.push(status.textContent)).observe(status, watch);
}"""


def test_answers_are_announced_once(open_page: OpenPage, url: str) -> None:
    page = open_page(url)
    page.evaluate(COUNT_ANNOUNCEMENTS)
    ask(page, RADAR)
    expect(page.locator("#conversation [role=status]")).not_to_be_empty()
    assert len(page.evaluate("window.said")) == 1
