"""A running server as the command line finds and asks it."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ui_fixtures import served

from index import Library
from index.embedding import FakeEmbedder
from index.errors import (
    DocumentError,
    DocumentNotFoundError,
    QuestionError,
    QuothError,
    UnsupportedFormatError,
)
from rag import Answer, Engine, Turn
from rag.async_engine import EngineBusyError
from rag.retrieval import Found
from ui.client import Client, ServerError, find_server
from ui.presence import INSTANCE, SERVER_FILE, Server, announced
from ui.settings import Settings

RADAR = "Why did Tesla remove radar and lidar?"
NOTE = b"Radar was removed in 2021. It disagreed with the cameras."
FOLLOW_UP = "Why is that?"
HEAVY = {"torch", "transformers", "sentence_transformers", "gradio", "fastapi"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library of the bundled summary that needs no model."""
    with Library.open(tmp_path_factory.mktemp("served"), embedder=FakeEmbedder()) as library:
        library.add_bundled()
        yield library


@pytest.fixture(scope="module")
def address(library: Library) -> Iterator[str]:
    """A server of the library."""
    with served(library) as address, announced(library.folder, address):
        yield address


@pytest.fixture
def settings(library: Library) -> Settings:
    return Settings(library=library.folder)


@pytest.fixture
def client(address: str, settings: Settings) -> Iterator[Client]:
    server = find_server(settings)
    assert server is not None
    with Client(server, settings) as client:
        yield client


# Asking


def test_the_server_answers_as_an_engine_here_would(client: Client, library: Library) -> None:
    answer = client.ask(RADAR)
    assert answer == Engine(library).ask(RADAR)
    assert answer.quotes


def test_a_conversation_goes_on(client: Client, library: Library) -> None:
    history = [Turn(RADAR, client.ask(RADAR))]
    answer = client.ask(FOLLOW_UP, history=history)
    assert answer == Engine(library).ask(FOLLOW_UP, history=history)
    assert answer.resolved_question != FOLLOW_UP


def test_of_a_long_conversation_only_what_counts_is_sent(client: Client) -> None:
    history = [Turn("What? " * 100, client.ask(RADAR))] * 500
    assert client.ask(RADAR, history=history).question == RADAR


def test_how_sure_an_answer_has_to_be_is_the_settings(client: Client, settings: Settings) -> None:
    server = find_server(settings)
    assert server is not None
    with Client(server, settings.model_copy(update={"strict": 1.0})) as strict:
        assert strict.ask(RADAR).status != "answered"


@pytest.mark.parametrize(
    ("question", "documents", "error"),
    [
        ("  ", None, QuestionError),
        ("why " * 2_000, None, QuestionError),
        ("half of a \ud83d", None, QuestionError),
        (RADAR, ["0" * 16], DocumentNotFoundError),
    ],
)
def test_an_error_is_of_the_same_kind_as_here(
    client: Client, library: Library, question: str, documents: list[str] | None, error: type[QuothError]
) -> None:
    with pytest.raises(error):
        Engine(library).ask(question, documents)
    with pytest.raises(error) as raised:
        client.ask(question, documents)
    assert str(raised.value).strip()
    assert "\n" not in str(raised.value)


def test_a_proxy_never_sees_a_question(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server = find_server(settings)
    assert server is not None
    with Client(server, settings) as another:
        assert another.ask(RADAR).quotes


def test_a_search_finds_what_it_would_find_here(client: Client, library: Library) -> None:
    found = client.search(RADAR, limit=3)
    assert found == tuple(map(Found.of, Engine(library).search(RADAR, limit=3)))
    with pytest.raises(QuestionError):
        client.search(RADAR, limit=0)


# Adding


def test_a_document_is_added(client: Client, library: Library) -> None:
    steps: list[str] = []
    record, is_new = client.add(NOTE, "note.txt", lambda stage, *_: steps.append(stage))
    assert (record, is_new) == (library.documents()[-1], True)
    assert record.name == "note.txt"
    assert client.add(NOTE, "other.txt", lambda *_: None) == (record, False)
    library.remove(record.id)


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (b" ", "blank.txt", DocumentError),
        (b"%PDF-1.7 that ends", "damaged.pdf", DocumentError),
        (b"\x7fELF" + bytes(range(256)) * 9, "program.exe", UnsupportedFormatError),
    ],
)
def test_a_file_that_is_no_document(
    client: Client, content: bytes, name: str, error: type[DocumentError]
) -> None:
    with pytest.raises(error, match=name):
        client.add(content, name, lambda *_: None)


def test_adding_that_takes_long_is_watched_and_interrupted(
    client: Client, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.client.POLL_SECONDS", 0.05)
    embeds, goes_on = threading.Event(), threading.Event()
    embed = FakeEmbedder.embed_passages

    def slowly(*args: Any) -> Any:
        embeds.set()
        assert goes_on.wait(20)
        return embed(*args)

    def interrupt(stage: str, done: int, total: int) -> None:
        if embeds.is_set():
            raise KeyboardInterrupt

    monkeypatch.setattr(FakeEmbedder, "embed_passages", slowly)
    before = library.documents()
    with pytest.raises(KeyboardInterrupt):
        client.add(b"Something else that is written here.", "else.txt", interrupt)
    goes_on.set()
    assert client.add(NOTE, "note.txt", lambda *_: None)[1]  # behind it in line
    assert [record.name for record in library.documents()[len(before) :]] == ["note.txt"]


# A server with a token


def test_a_server_with_a_token_is_asked_with_it(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ui")
    monkeypatch.setenv("QUOTH_TOKEN", "secret")
    knowing = Settings(library=tmp_path)
    with served(library) as address, announced(tmp_path, address):
        server = find_server(knowing)
        assert server is not None
        with Client(server, knowing) as client:
            assert client.ask(RADAR).quotes
        monkeypatch.delenv("QUOTH_TOKEN")
        assert find_server(Settings(library=tmp_path)) is None
        assert "QUOTH_TOKEN" in caplog.text
        with Client(server, Settings(library=tmp_path)) as client, pytest.raises(ServerError, match="token"):
            client.ask(RADAR)


# Servers that do not answer


Answering = Callable[[int, bytes], AbstractContextManager[str]]


@pytest.fixture
def answering() -> Answering:
    """A server that says the same to everybody."""

    @contextmanager
    def run(status: int, body: bytes) -> Iterator[str]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None: ...

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()

    return run


def asked(address: str) -> Answer:
    with Client(Server(address, 1, "x"), Settings()) as client:
        return client.ask(RADAR)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_says_so(answering: Answering, status: int) -> None:
    problem = json.dumps({"title": "Busy", "status": status, "detail": "66 questions wait already"}).encode()
    with answering(status, problem) as address, pytest.raises(EngineBusyError, match="66 questions"):
        asked(address)


def test_an_error_that_has_no_kind_here_is_the_servers(answering: Answering) -> None:
    with (
        answering(500, b'{"detail": "its log says what"}') as address,
        pytest.raises(ServerError, match="log"),
    ):
        asked(address)


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b'{"answer": 42}'), (500, b"oops")])
def test_something_else_that_answers_is_another_version(
    answering: Answering, status: int, body: bytes
) -> None:
    with answering(status, body) as address, pytest.raises(ServerError, match="another version"):
        asked(address)


def test_a_server_that_is_gone_is_one_line(answering: Answering) -> None:
    with answering(200, b"") as address:
        pass
    with pytest.raises(ServerError, match=address):
        asked(address)


# Finding


def test_a_server_is_announced_while_it_runs(tmp_path: Path) -> None:
    file = tmp_path / SERVER_FILE
    with announced(tmp_path, "http://0.0.0.0:7860"):
        assert json.loads(file.read_text()) == {
            "address": "http://127.0.0.1:7860",
            "process": os.getpid(),
            "instance": INSTANCE,
        }
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [file]
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_a_later_server_is_left_alone(tmp_path: Path) -> None:
    with announced(tmp_path, "http://127.0.0.1:1"):
        later = replace(Server("http://127.0.0.1:2", 1, INSTANCE), instance="later")
        (tmp_path / SERVER_FILE).write_text(json.dumps(asdict(later)))
    assert "later" in (tmp_path / SERVER_FILE).read_text()


def test_a_folder_that_cannot_be_written_keeps_no_server_from_running(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with announced(tmp_path / "gone", "http://127.0.0.1:1"):
        assert SERVER_FILE in caplog.text


def find(folder: Path, address: str, instance: str = INSTANCE) -> Server | None:
    (folder / SERVER_FILE).write_text(json.dumps(asdict(Server(address, os.getpid(), instance))))
    return find_server(Settings(library=folder))


def test_a_server_is_found(address: str, tmp_path: Path) -> None:
    assert find(tmp_path, address) == Server(address, os.getpid(), INSTANCE)


def test_no_server_no_file(tmp_path: Path) -> None:
    assert find_server(Settings(library=tmp_path / "none")) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"address": 5}', "\0"])
def test_a_file_that_is_none_finds_no_server(tmp_path: Path, content: str) -> None:
    (tmp_path / SERVER_FILE).write_text(content)
    assert find_server(Settings(library=tmp_path)) is None


def test_a_server_that_was_killed_is_not_found(tmp_path: Path, answering: Answering) -> None:
    with answering(200, b"") as address:
        pass
    assert find(tmp_path, address) is None


def test_another_library_at_the_address_is_not_taken_for_this_one(address: str, tmp_path: Path) -> None:
    assert find(tmp_path, address, instance="0" * 32) is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"status": "ok"}'])
def test_another_program_at_the_address_is_not_taken_for_quoth(
    tmp_path: Path, answering: Answering, body: bytes
) -> None:
    with answering(200, body) as address:
        assert find(tmp_path, address) is None


@pytest.mark.parametrize(
    "address", ["http://203.0.113.1:7860", "http://quoth.example:80", "file:///etc", "", "http://["]
)
def test_a_library_from_elsewhere_sends_questions_nowhere(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.client.httpx.get", lambda *_, **__: pytest.fail("it was asked"))
    assert find(tmp_path, address) is None


# The command


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which says on its last line what it should not have loaded."""
    script = (
        "import sys\nfrom ui.cli import cli\n"
        "try: cli(sys.argv[1:])\n"
        f"finally: print({HEAVY} & set(sys.modules), file=sys.stderr)"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *args],
        env=os.environ | {"QUOTH_LIBRARY": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("address")
def test_the_command_asks_the_server_and_loads_nothing(library: Library, address: str) -> None:
    result = run(library.folder, "ask", "--verbose", "--json", RADAR)
    assert result.stderr.splitlines() == [f"quoth: asking the server at {address}", "set()"]
    printed = json.loads(result.stdout)
    assert printed["quotes"][0]["text"] == Engine(library).ask(RADAR).quotes[0].text
    assert printed["quotes"][0]["name"] == "hacking_the_universe.txt"


@pytest.mark.usefixtures("address")
def test_what_the_server_refuses_is_wrong_usage(library: Library) -> None:
    result = run(library.folder, "ask", " ")
    assert result.returncode == 2
    assert result.stderr.startswith("quoth: the question is blank")


@pytest.mark.usefixtures("address")
def test_the_command_adds_through_the_server(library: Library, address: str, tmp_path: Path) -> None:
    (tmp_path / "added.txt").write_text("This is added by the server.")
    (tmp_path / "blank.txt").write_text(" ")
    result = run(library.folder, "add", "-v", *map(str, sorted(tmp_path.iterdir())))
    assert result.returncode == 1
    assert result.stdout.endswith(": 1 sentences\n")
    first, second, loaded = result.stderr.splitlines()
    assert (first, loaded) == (f"quoth: asking the server at {address}", "set()")
    assert second.startswith("quoth: blank.txt")
