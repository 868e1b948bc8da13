"""The pictures of the page in `docs/`: `python tests/pictures.py`, with the real model and Chromium."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright
from ui_fixtures import CHROMIUM, CHROMIUM_FLAGS, DESKTOP, PHONE, served

from index import Library

DOCS = Path(__file__).parents[1] / "docs"
Scheme = Literal["light", "dark"]

PICTURES: dict[str, tuple[ViewportSize, Scheme, str]] = {
    "page-light": (DESKTOP, "light", "Why did Tesla remove radar and lidar?"),
    "page-dark": (DESKTOP, "dark", "What is Software 2.0?"),
    "page-phone": (PHONE, "light", "Why did Tesla remove radar and lidar?"),
}


def take_picture(browser: Browser, url: str, name: str) -> None:
    """Ask the question, show its first citation, save the picture."""
    viewport, scheme, question = PICTURES[name]
    page = browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page.goto(url)
    expect(page.locator(".page .title")).to_be_attached(timeout=60_000)
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator(".passages .marker").first.click()
    expect(page.locator(".s.current")).to_be_in_viewport()
    page.screenshot(path=DOCS / f"{name}.png")
    page.close()


def main() -> None:
    with TemporaryDirectory() as folder, Library.open(folder) as library:
        library.add_bundled()
        with served(library) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
            for name in PICTURES:
                take_picture(browser, url, name)


if __name__ == "__main__":
    main()
