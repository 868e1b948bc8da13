"""What the tests of the page and the server share: an application whose loading a test can steer, and a
browser that looks at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page, ViewportSize, expect

from index import Library
from rag import Engine, Quote
from rag.reader import OperatingPoint, Reader, Reading
from rag.reader.trained import TrainedReader
from rag.retrieval import Retrieved
from ui.server import create_app, create_server, listen
from ui.settings import Settings

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}

IN_BROWSER = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio"),  # its use of pandas
    pytest.mark.browser,
    pytest.mark.model,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}: apt-get install chromium"),
]

OpenPage = Callable[..., Page]

expect.set_options(timeout=20_000)


@cache
def shared_reader() -> TrainedReader:
    """One for all tests: its network takes 60 MB."""
    return TrainedReader()


@dataclass
class SteeredReader:
    """The shipped reader; it loads and reads while `loaded` is set, fails and decides as it is told to."""

    loaded: threading.Event = field(default_factory=threading.Event)
    load_error: Exception | None = None
    read_error: Exception | None = None
    decides: OperatingPoint | None = None
    inner: TrainedReader = field(default_factory=shared_reader)

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    @property
    def operating_point(self) -> OperatingPoint:
        return self.decides or self.inner.operating_point

    def load(self) -> None:
        assert self.loaded.wait(30)
        if self.load_error:
            raise self.load_error
        self.inner.load()

    def read(self, retrieved: Retrieved, quoted: Sequence[Quote] = (), another: bool = False) -> Reading:
        assert self.loaded.wait(30)
        if self.read_error:
            raise self.read_error
        return self.inner.read(retrieved, quoted, another)


def steered_reader(**steering: Any) -> SteeredReader:
    """A reader that loads at once."""
    reader = SteeredReader(**steering)
    reader.loaded.set()
    return reader


@dataclass
class PausedReader(SteeredReader):
    """Reads a question when it is let go on."""

    reading: threading.Event = field(default_factory=threading.Event)  # set when a question has come so far
    go_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.loaded.set()

    def read(self, retrieved: Retrieved, quoted: Sequence[Quote] = (), another: bool = False) -> Reading:
        self.reading.set()
        assert self.go_on.wait(30)
        return super().read(retrieved, quoted, another)


@contextmanager
def served(
    library: Library, reader: Reader | None = None, port: int = 0, settings: Settings | None = None
) -> Iterator[str]:
    """The application of this library on a loopback port, 0 for a free one; gives its address."""
    with running(library, reader, port, settings) as (address, _):
        yield address


@contextmanager
def running(
    library: Library, reader: Reader | None = None, port: int = 0, settings: Settings | None = None
) -> Iterator[tuple[str, uvicorn.Server]]:
    """The address of the application of this library, and what runs it."""
    chosen = settings or Settings()
    engine = Engine(library, reader=reader or shared_reader())
    with (
        ThreadPoolExecutor(1) as thread,
        listen("127.0.0.1", port) as listener,
        patch("ui.server.STOP_SECONDS", 0.2),  # open pages listen until they are hung up on
    ):
        app = thread.submit(create_app, library, engine, chosen).result()  # Playwright's loop runs here
        server = create_server(app, chosen)
        run = thread.submit(server.run, [listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
        finally:
            server.should_exit = True
            run.result(20)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def metric(client: httpx.Client, name: str) -> float:
    """A number of the server's metrics; 0 for what was not measured yet."""
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def in_line(client: httpx.Client) -> float:
    """Questions that are answered or wait."""
    return metric(client, "quoth_questions_in_line")


def wait_for_line(address: str, length: int) -> None:
    """Wait until so many questions are being answered or wait for it."""
    with httpx.Client(base_url=address) as client:
        until(lambda: in_line(client) == length, 20)


def ask(page: Page, question: str) -> None:
    """Ask and wait for the answer."""
    before = page.locator(".turn:not(.pending)").count()
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".turn:not(.pending)")).to_have_count(before + 1)


def plain(text: str | None) -> str:
    return " ".join((text or "").split())


def highlighted(page: Page) -> str:
    """The text of the citation that is stepped to in the reader."""
    expect(page.locator(".s.current").first).to_be_attached()
    return plain(" ".join(page.locator(".s.current").all_text_contents()))


def upload(page: Page, *paths: Path) -> None:
    page.locator("input[type=file]").set_input_files(paths)
