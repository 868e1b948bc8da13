"""The REST routes, their errors and headers, and how the server starts and stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, fields
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from ui_fixtures import SteeredReader, steered_reader

from index import Library, QuothError
from index.embedding import FakeEmbedder
from index.errors import (
    DocumentTooLargeError,
    EmptyDocumentError,
    LibraryBusyError,
    LibraryUnreadableError,
    ModelError,
    NotTextError,
    UnsupportedFormatError,
    WeightsDamagedError,
)
from rag import Answer, Engine, Quote
from ui.client import find_server
from ui.errors import public_line
from ui.guard import SECURITY_HEADERS
from ui.presence import SERVER_FILE
from ui.server import PortInUseError, create_app, serve
from ui.settings import Settings

RADAR = "Why did Tesla remove radar and lidar?"

HERE = "http://127.0.0.1:7860"
Serving = Callable[[SteeredReader], AbstractContextManager[TestClient]]


@pytest.fixture(scope="module")
def module_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library of the bundled summary that needs no model."""
    with Library.open(tmp_path_factory.mktemp("served"), embedder=FakeEmbedder()) as library:
        library.add_bundled()
        yield library


@pytest.fixture
def serving(module_library: Library) -> Serving:
    """The application as it runs with a reader."""

    @contextmanager
    def run(reader: SteeredReader) -> Iterator[TestClient]:
        engine = Engine(module_library, reader=reader, max_question_chars=500)
        app = create_app(module_library, engine, Settings())
        with TestClient(app, HERE, raise_server_exceptions=False) as client:
            yield client

    return run


@pytest.fixture(scope="module")
def client(module_library: Library) -> Iterator[TestClient]:
    """The application, loaded."""
    engine = Engine(module_library, max_question_chars=500)
    with TestClient(
        create_app(module_library, engine, Settings()), HERE, raise_server_exceptions=False
    ) as client:
        wait_until_ready(client)
        yield client


def wait_until_ready(client: TestClient) -> None:
    deadline = time.monotonic() + 30
    while not client.get("/healthz").json()["ready"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(client: TestClient, question: str = RADAR, **more: object) -> httpx.Response:
    return client.post("/api/v1/ask", json={"question": question, **more})


def assert_problem(response: httpx.Response, status: int) -> str:
    """The response is problem details of this status; returns their detail."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert "Traceback" not in response.text
    return str(problem["detail"])


# Routes


def test_an_answer_has_every_field_and_quotes_exactly(client: TestClient, module_library: Library) -> None:
    answer = ask(client).json()
    assert set(answer) == {field.name for field in fields(Answer)}
    assert answer["status"] == "answered"
    for quote in answer["quotes"]:
        assert set(quote) == {field.name for field in fields(Quote)}
        document = module_library.document(quote["document_id"])
        assert document.text[quote["start"] : quote["end"]] == quote["text"]


def test_an_answer_is_the_engines(client: TestClient, module_library: Library) -> None:
    expected = Engine(module_library).ask(RADAR)
    assert ask(client).json() == json.loads(json.dumps(asdict(expected)))


def test_earlier_turns_may_come_with_and_without_their_answers(client: TestClient) -> None:
    answer = ask(client).json()
    history = [{"question": RADAR, "answer": answer}, {"question": "What is Software 2.0?"}]
    assert ask(client, "What makes the Transformer so resilient?", history=history).status_code == 200


def test_one_document_can_be_asked_alone(client: TestClient, module_library: Library) -> None:
    (record,) = module_library.documents()
    assert ask(client, documents=[record.id]).json()["quotes"]


@pytest.mark.parametrize(("strict", "answered"), [(1, False), (0, True), (None, True)])
def test_how_sure_an_answer_has_to_be_is_up_to_the_request(
    client: TestClient, strict: float | None, answered: bool
) -> None:
    assert (ask(client, strict=strict).json()["status"] == "answered") == answered


def test_documents_are_listed(client: TestClient, module_library: Library) -> None:
    assert client.get("/api/v1/documents").json() == [asdict(record) for record in module_library.documents()]


def test_the_page_is_served(client: TestClient) -> None:
    response = client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "Quoth" in response.text


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_generated_documentation_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/nowhere", "/api/v1/ask", "/theme.css", "/api/v1/documents"]
)
def test_every_response_has_the_security_headers(client: TestClient, path: str) -> None:
    assert_secure(client.get(path))


def assert_secure(response: httpx.Response) -> None:
    assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


# Other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:7860"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "["},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_site_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    for response in (
        client.get("/api/v1/documents", headers=headers),
        client.post("/gradio_api/upload", headers=headers, files={"files": b"x"}),
        client.post("/page/documents", headers=headers, content=b"x"),
    ):
        assert_problem(response, 403)
        assert_secure(response)


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:7860"])
def test_this_machine_is_not(client: TestClient, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert client.get("/api/v1/documents", headers=headers).status_code == 200


# Errors


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
def test_a_body_of_another_kind_is_a_422(client: TestClient, kind: str) -> None:
    body = '{"question": "Why remove radar?"}'
    response = client.post("/api/v1/ask", content=body, headers={"content-type": kind})
    assert_problem(response, 422)


@pytest.mark.parametrize(
    ("question", "line"), [("", "blank"), (" \n", "blank"), ("x" * 501, "500"), ("x" * 100_000, "500")]
)
def test_a_question_that_cannot_be_asked_is_a_422(client: TestClient, question: str, line: str) -> None:
    assert line in assert_problem(ask(client, question), 422)


def test_an_unknown_document_is_a_404(client: TestClient) -> None:
    assert "nonsense" in assert_problem(ask(client, documents=["nonsense"]), 404)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"question": 7}',
        b'{"question": "secret \\ud800"}',
        b'{"question": "secret", "strictness": 1}',
        b'{"question": "secret", "documents": "all"}',
        b'{"question": "secret", "strict": 1.5}',
        b'{"question": "secret", "strict": NaN}',
        b'{"question": "secret", "history": [{"question": "a", "answer": {"status": "sure"}}]}',
    ],
)
def test_a_malformed_request_is_a_422_that_repeats_nothing(client: TestClient, body: bytes) -> None:
    response = client.post("/api/v1/ask", content=body, headers={"content-type": "application/json"})
    assert "secret" not in assert_problem(response, 422)


def test_wrong_paths_and_methods_are_problems_too(client: TestClient) -> None:
    assert_problem(client.get("/api/v1/ask"), 405)
    assert_problem(client.get("/api/v1/nowhere"), 404)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DocumentTooLargeError, 413),
        (UnsupportedFormatError, 415),
        (NotTextError, 415),
        (EmptyDocumentError, 422),
        (LibraryBusyError, 503),
        (LibraryUnreadableError, 500),
        (ModelError, 503),
        (WeightsDamagedError, 503),
    ],
)
def test_every_kind_of_error_has_its_status(serving: Serving, error: type[QuothError], status: int) -> None:
    with serving(steered_reader(read_error=error("what to do"))) as client:
        response = ask(client)
    assert assert_problem(response, status) in ("what to do", public_line(error()))
    assert ("retry-after" in response.headers) == (status == 503)


def test_an_unexpected_error_shows_nothing_of_the_insides(serving: Serving) -> None:
    with serving(steered_reader(read_error=RuntimeError("/home/somebody/secret"))) as client:
        response = ask(client)
    assert "secret" not in assert_problem(response, 500)
    assert_secure(response)


# Loading


def test_a_question_waits_for_the_models(serving: Serving) -> None:
    reader = SteeredReader()
    with serving(reader) as client:
        assert client.get("/healthz").json() == {"status": "ok", "ready": False}
        client.portal.start_task_soon(release_later, reader)
        assert ask(client).json()["status"] == "answered"
        assert client.get("/healthz").json() == {"status": "ok", "ready": True}


async def release_later(reader: SteeredReader) -> None:
    reader.loaded.set()


def test_a_question_does_not_wait_for_ever(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.startup.MODEL_WAIT_SECONDS", 0.05)
    reader = SteeredReader()
    with serving(reader) as client:
        response = ask(client)
        reader.loaded.set()
    assert "still being loaded" in assert_problem(response, 503)
    assert int(response.headers["retry-after"]) > 0


def test_models_that_cannot_be_loaded_are_said_and_the_process_lives(serving: Serving) -> None:
    with serving(steered_reader(load_error=ModelError("no weights; reinstall"))) as client:
        assert "log says why" in assert_problem(ask(client), 503)
        assert client.get("/healthz").json() == {"status": "ok", "ready": False}


def test_loading_can_succeed_at_a_later_question(serving: Serving) -> None:
    reader = steered_reader(load_error=ModelError("no weights; reinstall"))
    with serving(reader) as client:
        assert_problem(ask(client), 503)
        reader.load_error = None
        assert ask(client).status_code == 200
        assert client.get("/healthz").json()["ready"]


# Starting and stopping


def test_a_busy_port_is_said_before_anything_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"{port}.*--port"):
            serve(Settings(port=port, library=folder), lambda address: None)
    assert not folder.exists()


HEAVY = (
    "import sys, {module}; print(sorted({{'torch', 'sentence_transformers', 'gradio'}} & set(sys.modules)))"
)


@pytest.mark.parametrize(("module", "loaded"), [("ui.server", "[]"), ("ui.chat", "['gradio']")])
def test_importing_stays_light(module: str, loaded: str) -> None:
    command = [sys.executable, "-c", HEAVY.format(module=module)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == loaded


@pytest.mark.model
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("answering", [False, True])
def test_a_signal_ends_the_server_at_any_time(tmp_path: Path, stop: signal.Signals, answering: bool) -> None:
    program, library = "from ui.cli import main; main()", tmp_path / "library"
    command = [sys.executable, "-c", program, "serve", "--port", "0", "--library", str(library)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = next(word for word in process.stdout.readline().split() if word.startswith("http://"))
        if answering:  # else it is still importing, which is when people press Ctrl-C
            assert httpx.get(f"{address}/healthz", timeout=60).json()["status"] == "ok"
            server = find_server(Settings(library=library))
            assert server is not None
            assert (server.address, server.process) == (address, process.pid)
        process.send_signal(stop)
        started = time.monotonic()
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert time.monotonic() - started < 6
    assert not (library / SERVER_FILE).exists()
