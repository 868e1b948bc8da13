"""What bounds the work of a server: hung-up, slow and deaf clients, full lines, too many requests."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import Message
from ui_fixtures import PausedReader, in_line, metric, running, until

from index import Library
from index.embedding import FakeEmbedder
from rag import Engine
from ui.api import create_api
from ui.service import Service
from ui.settings import Settings

RADAR = {"question": "Why did Tesla remove radar and lidar?"}
HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library of the bundled summary that needs no model."""
    with Library.open(tmp_path_factory.mktemp("library"), embedder=FakeEmbedder()) as opened:
        opened.add_bundled()
        yield opened


@pytest.fixture
def reader() -> Iterator[PausedReader]:
    """Let go on at the end, so that no thread waits for ever."""
    paused = PausedReader()
    yield paused
    paused.go_on.set()


@contextmanager
def serving(library: Library, reader: PausedReader, **settings: Any) -> Iterator[httpx.Client]:
    with (
        running(library, reader, settings=Settings(**settings)) as (address, _),
        httpx.Client(base_url=address, timeout=20) as client,
    ):
        until(lambda: client.get("/healthz").json()["ready"])
        yield client
        reader.go_on.set()  # else the server waits for it


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection(at(str(client.base_url)), timeout=10)


def at(address: str) -> tuple[str, int]:
    url = urlsplit(address)
    return url.hostname or "", url.port or 0


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", "")).encode()


JSON = "Content-Type: application/json"


def assert_problem(response: httpx.Response, status: int) -> str:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["detail"])


def assert_comes_again(response: httpx.Response, status: int) -> None:
    assert_problem(response, status)
    assert 1 <= int(response.headers["retry-after"]) <= 60


# Who hangs up


@pytest.mark.parametrize("path", ["/api/v1/ask", "/api/v1/ask/stream"])
def test_who_hangs_up_ends_the_work(
    library: Library, reader: PausedReader, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"question": "Why did Tesla remove radar and lidar?"}'
    with serving(library, reader, workers=1, queue=0) as client:
        with connected(client) as hasty:
            hasty.sendall(head("POST", path, JSON, f"Content-Length: {len(body)}") + body)
            assert reader.reading.wait(10)
            assert in_line(client) == 1
        until(lambda: in_line(client) == 0)
        reader.go_on.set()
        assert client.post("/api/v1/ask", json=RADAR).status_code == 200
        assert metric(client, 'quoth_stage_seconds_count{stage="retrieve"}') == 2
        assert metric(client, 'quoth_stage_seconds_count{stage="select"}') == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# Who is slow


def test_who_sends_too_slowly_is_refused_and_holds_up_nobody(library: Library, reader: PausedReader) -> None:
    reader.go_on.set()
    with serving(library, reader, request_seconds=0.5) as client, connected(client) as slow:
        slow.sendall(head("POST", "/api/v1/ask", JSON, "Content-Length: 100"))
        response = b""
        while not response:
            slow.sendall(b"{")
            assert client.get("/healthz").status_code == 200
            slow.settimeout(0.05)
            with suppress(TimeoutError):
                response = slow.recv(4096)
        assert response.startswith(b"HTTP/1.1 408")


def test_who_does_not_finish_the_header_is_hung_up_on(
    library: Library, reader: PausedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.server.HEADER_SECONDS", 0.3)
    with serving(library, reader) as client, connected(client) as silent, connected(client) as slow:
        slow.sendall(head("GET", "/healthz"))
        response = b""
        while not response.endswith(b"}"):
            response += slow.recv(4096)
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost:")
        assert slow.recv(4096) == silent.recv(4096) == b""
        with ThreadPoolExecutor(1) as thread:  # an answer may take longer than that
            asked = thread.submit(client.post, "/api/v1/ask", json=RADAR)
            assert reader.reading.wait(10)
            time.sleep(0.5)
            reader.go_on.set()
            assert asked.result().status_code == 200


def test_who_does_not_read_holds_up_nobody(library: Library, reader: PausedReader) -> None:
    reader.go_on.set()
    asyncio.run(ask_beside_a_deaf_client(library, reader))


async def ask_beside_a_deaf_client(library: Library, reader: PausedReader) -> None:
    service = Service.of(library, Engine(library, reader=reader), Settings(workers=1, queue=0))
    service.startup.start()
    api = create_api(service)

    sent: asyncio.Queue[Message] = asyncio.Queue()
    sent.put_nowait({"type": "http.request", "body": json.dumps(RADAR).encode()})

    async def send(_: Message) -> None:
        await asyncio.Event().wait()

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/ask/stream", "query_string": b""}
    deaf = asyncio.create_task(api(scope | {"headers": headers}, sent.get, send))
    transport = httpx.ASGITransport(api)
    async with asyncio.timeout(20), httpx.AsyncClient(transport=transport, base_url=HERE) as client:
        assert await asyncio.to_thread(reader.reading.wait, 10)
        while service.engine.in_line:
            await asyncio.sleep(0.01)
        assert (await client.post("/api/v1/ask", json=RADAR)).status_code == 200
        assert not deaf.done()
    deaf.cancel()


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system cannot tell who does not read"
)
def test_who_never_reads_is_hung_up_on(
    library: Library, reader: PausedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.server.UNREAD_SECONDS", 0.5)
    (summary,) = library.documents()
    with serving(library, reader, rate=0) as client, connected(client) as deaf:
        deaf.sendall(1_000 * head("GET", f"/api/v1/documents/{summary.id}/text"))
        until(lambda: is_cut(deaf))


def is_cut(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"G")
    except ConnectionError:
        return True
    return False


def test_who_sends_the_token_too_slowly_is_refused(
    library: Library, reader: PausedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.guard.LOGIN_SECONDS", 0.2)
    with (
        running(library, reader, settings=Settings(token="secret")) as (address, _),
        socket.create_connection(at(address), timeout=10) as slow,
    ):
        slow.sendall(head("POST", "/login", "Content-Length: 100") + b"token=")
        assert slow.recv(4096).startswith(b"HTTP/1.1 401")


# Who comes too often


def test_a_full_line_says_when_to_come_again(library: Library, reader: PausedReader) -> None:
    with serving(library, reader, workers=1, queue=1) as client, ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(client.post, "/api/v1/ask", json=RADAR) for _ in range(2)]
        until(lambda: in_line(client) == 2)
        for path in ("/api/v1/ask", "/api/v1/ask/stream", "/api/v1/search"):
            assert_comes_again(client.post(path, json=RADAR), 503)
        assert client.get("/healthz").status_code == 200
        reader.go_on.set()
        assert [each.result().status_code for each in asked] == [200, 200]
        assert client.post("/api/v1/ask", json=RADAR).status_code == 200


def test_a_question_that_takes_too_long_says_so(library: Library, reader: PausedReader) -> None:
    with serving(library, reader, request_seconds=0.3) as client:
        response = client.post("/api/v1/ask", json=RADAR)
        assert_comes_again(response, 503)
        assert "not answered in" in response.json()["detail"]


def test_too_many_requests_say_when_to_come_again(library: Library, reader: PausedReader) -> None:
    settings = Settings(rate=20)
    with (
        running(library, reader, settings=settings) as (address, _),
        httpx.Client(base_url=address) as client,
    ):
        assert {client.get("/healthz").status_code for _ in range(20)} == {200}
        assert_comes_again(client.get("/healthz"), 429)
