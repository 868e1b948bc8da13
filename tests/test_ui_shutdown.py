"""How a server ends: what runs is finished within its time, nothing new begins."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from ui_fixtures import PausedReader, in_line, running, steered_reader, until

from index import Library
from index.embedding import FakeEmbedder, FloatArray, Span
from ui.settings import Settings

RADAR = {"question": "Why did Tesla remove radar and lidar?"}


class PausedEmbedder(FakeEmbedder):
    """Embeds documents when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = threading.Event()
        self.go_on = threading.Event()

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[FloatArray]:
        self.embedding.set()
        assert self.go_on.wait(30)
        return super().embed_passages(texts, spans)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library", embedder=FakeEmbedder()) as opened:
        opened.add_bundled()
        yield opened


def refuses(address: str) -> bool:
    try:
        httpx.get(f"{address}/healthz")
    except httpx.ConnectError:
        return True
    return False


@pytest.mark.parametrize("path", ["/api/v1/ask", "/api/v1/ask/stream"])
def test_what_is_asked_is_still_answered_and_nothing_new_begins(
    library: Library, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    reader = PausedReader()
    with (
        running(library, reader, settings=Settings(workers=1)) as (address, server),
        httpx.Client(base_url=address, timeout=20) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        asked = [threads.submit(httpx.post, address + path, json=RADAR, timeout=20) for _ in range(2)]
        until(lambda: in_line(client) == 2)
        server.should_exit = True
        until(lambda: refuses(address))
        late = client.post(path, json=RADAR)  # on the connection that was there before
        assert (late.status_code, "retry-after" in late.headers) == (503, True)
        reader.go_on.set()
        responses = [each.result() for each in asked]
        assert [each.status_code for each in responses] == [200, 200]
        assert all('"status":"answered"' in each.text for each in responses)
    assert caplog.messages == []


def test_what_takes_too_long_is_told_so(library: Library) -> None:
    reader = PausedReader()
    with (
        running(library, reader, settings=Settings(drain_seconds=0.3)) as (address, server),
        httpx.Client(base_url=address, timeout=20) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        asked = thread.submit(httpx.post, f"{address}/api/v1/ask", json=RADAR, timeout=20)
        until(lambda: in_line(client) == 1)
        server.should_exit = True
        stopped = time.monotonic()
        response = asked.result()
        assert time.monotonic() - stopped < 3
        assert (response.status_code, "retry-after" in response.headers) == (503, True)
        assert "being stopped" in response.json()["detail"]
        reader.go_on.set()


def test_an_upload_on_its_way_is_added(tmp_path: Path) -> None:
    embedder = PausedEmbedder()
    embedder.go_on.set()
    with Library.open(tmp_path / "library", embedder=embedder) as library:
        library.add_bundled()
        embedder.embedding.clear()
        embedder.go_on.clear()
        with running(library, steered_reader()) as (address, server), ThreadPoolExecutor(1) as thread:
            uploading = thread.submit(
                httpx.post, f"{address}/api/v1/documents?wait=30", content=b"Bees make honey.", timeout=40
            )
            assert embedder.embedding.wait(10)
            server.should_exit = True
            until(lambda: refuses(address))
            embedder.go_on.set()
            assert uploading.result().status_code == 201
        assert "document.txt" in [each.name for each in library.documents()]


def test_a_page_that_listens_for_news_holds_nothing_up(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        running(library, steered_reader()) as (address, server),
        httpx.stream("GET", f"{address}/gradio_api/heartbeat/somebody", timeout=20) as news,
    ):
        assert news.status_code == 200
        server.should_exit = True
        stopped = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            news.read()
    assert time.monotonic() - stopped < 5
    assert caplog.messages == []
