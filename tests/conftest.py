"""Fixtures that several test files use: documents, libraries without and with the real model, a browser."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from index import Document, Library
from index.document import assemble
from index.embedding import Embedder, FakeEmbedder, SentenceTransformerEmbedder
from index.formats import parse
from index.library import BUNDLED
from ui.cli import cli
from ui.settings import Settings, env_name

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request
    from ui_fixtures import OpenPage

Quoth = Callable[..., Result]

BUNDLED_BYTES = files("index.corpus").joinpath(BUNDLED).read_bytes()

GERMAN = (
    "Im Frühling steigt der Fluss, und niemand pflügt vor dem Mai. Die Mühle wurde vor Jahren verkauft, "
    "aber ihr Rad dreht sich noch immer, wenn das Wasser hoch genug steht."
)


def document_of(text: str, name: str = "test.txt") -> Document:
    """The document that a file with this text becomes."""
    return assemble(parse(text.encode(), name), document_id="test", name=name)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Processes that tests start inherit what SIGINT does; a background job has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def summary() -> Document:
    """The bundled summary."""
    return assemble(parse(BUNDLED_BYTES, BUNDLED), document_id="bundled", name=BUNDLED)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library that needs no model."""
    with Library.open(tmp_path / "library", embedder=FakeEmbedder()) as opened:
        yield opened


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library of one's own, and no other setting."""
    for name in Settings.model_fields:
        monkeypatch.delenv(env_name(name), raising=False)
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUOTH_LIBRARY", str(tmp_path / "library"))


@pytest.fixture
def quoth(environment: None, monkeypatch: pytest.MonkeyPatch) -> Quoth:
    """Runs a command in this process, with vectors that need no model."""
    monkeypatch.setattr("ui.settings.SentenceTransformerEmbedder", lambda model, threads: FakeEmbedder())
    return lambda *args, stdin=None: CliRunner().invoke(cli, args, prog_name="quoth", input=stdin)


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The real model, loaded once."""
    loaded = SentenceTransformerEmbedder()
    loaded.load()
    return loaded


@pytest.fixture(scope="session")
def real_library(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library with the bundled summary, embedded by the real model. Tests only read it."""
    with Library.open(tmp_path_factory.mktemp("library"), embedder=embedder) as opened:
        opened.add_bundled()
        yield opened


@pytest.fixture
def own_library(tmp_path: Path, embedder: Embedder) -> Iterator[Library]:
    """A library that a test may change, with the real model."""
    with Library.open(tmp_path / "own", embedder=embedder) as library:
        yield library


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright
    from ui_fixtures import CHROMIUM, CHROMIUM_FLAGS

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page in a profile of its own, and afterwards looks at what the page did."""
    from playwright.sync_api import expect
    from ui_fixtures import DESKTOP

    faults: list[str] = []
    contexts: list[BrowserContext] = []

    def open_(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        host = re.match(r"https?://[^/]+", address)
        assert host

        def watch(request: Request) -> None:
            if not request.url.startswith((host[0], "data:", "blob:")):
                faults.append(f"requested {request.url}")

        context.on("request", watch)
        context.on("weberror", lambda error: faults.append(f"threw {error.error}"))
        page = context.new_page()
        page.on("dialog", lambda dialog: faults.append(f"opened {dialog.message}"))
        page.goto(address)
        expect(page.locator(".page .title")).to_be_attached()  # the page has its first values
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def url(real_library: Library) -> Iterator[str]:
    """The page of the bundled summary, with the real model; it answers and abstains."""
    from ui_fixtures import served

    with served(real_library) as address:
        yield address
