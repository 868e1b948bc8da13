"""The form that asks for the token, in a browser: it decides what a form sends along."""

from __future__ import annotations

from playwright.sync_api import Browser, expect
from ui_fixtures import IN_BROWSER, ask, served, steered_reader

from index import Library
from ui.settings import Settings

pytestmark = IN_BROWSER

TOKEN = "correct horse battery staple"


def test_the_page_asks_for_the_token_once(browser: Browser, library: Library) -> None:
    library.add_bundled()
    (record,) = library.documents()
    with served(library, steered_reader(), settings=Settings(token=TOKEN)) as address:
        page = browser.new_page()
        page.goto(f"{address}/?doc={record.id}")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_text("That is not the token.")).to_be_visible()
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        ask(page, "Why did Tesla remove radar and lidar?")
        assert page.url.startswith(f"{address}/?doc={record.id}")
        page.reload()
        expect(page.get_by_label("Your question")).to_be_visible()
        page.context.close()
