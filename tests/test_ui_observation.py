"""What the server logs: structured, with the request's id, and nothing of what was asked or read."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
from starlette.testclient import TestClient
from ui_fixtures import steered_reader

from index import Library
from rag import Engine
from ui.observation import log_as
from ui.server import create_app
from ui.settings import Settings

TOKEN = "correct horse battery staple"
QUESTION = "Why did Tesla remove radar and lidar?"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The handlers and levels that pytest set up."""
    root, packages = logging.getLogger(), [logging.getLogger(name) for name in ("index", "rag", "ui")]
    handlers, levels = root.handlers[:], [(logger, logger.level) for logger in (root, *packages)]
    yield
    root.handlers[:] = handlers
    for logger, level in levels:
        logger.setLevel(level)


def logged(
    library: Library,
    capsys: pytest.CaptureFixture[str],
    form: Literal["text", "json"],
    error: Exception | None,
) -> list[str]:
    """The lines of a server that is asked a question, sent a document and sent nonsense."""
    library.add_bundled()
    app = create_app(
        library,
        Engine(library, reader=steered_reader(read_error=error)),
        Settings(token=TOKEN, log_format=form),
    )
    log_as(form, debug=False)
    with TestClient(app, "http://127.0.0.1:7860", raise_server_exceptions=False) as client:
        headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "mine"}
        client.post("/api/v1/ask", json={"question": QUESTION}, headers=headers)
        client.post("/api/v1/documents?name=diary.md", content=b"Secret bees dance.", headers=headers)
        client.post("/api/v1/documents?name=bad.pdf", content=b"%PDF-1.7 Secret", headers=headers)
        client.get("/api/v1/documents/secret-id", headers=headers)
        client.get(f"/metrics?token={TOKEN}")
    return [line for line in capsys.readouterr().err.splitlines() if line]


@pytest.mark.parametrize("error", [None, RuntimeError("broken")])
def test_every_request_is_a_line_of_json(
    library: Library, capsys: pytest.CaptureFixture[str], error: Exception | None
) -> None:
    lines = [json.loads(line) for line in logged(library, capsys, "json", error)]
    requests = [line for line in lines if line["message"] == "request" and line["correlation_id"] == "mine"]
    assert [(line["method"], line["route"], line["status"]) for line in requests] == [
        ("POST", "/api/v1/ask", 500 if error else 200),
        ("POST", "/api/v1/documents", 201),
        ("POST", "/api/v1/documents", 422),
        ("GET", "/api/v1/documents/{document_id}", 404),
    ]
    assert all(line["ms"] >= 0 for line in requests)
    assert all(line["correlation_id"] for line in lines if line["name"].startswith("ui"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_line_holds_what_was_asked_or_read(
    library: Library, capsys: pytest.CaptureFixture[str], form: Literal["text", "json"]
) -> None:
    text = "\n".join(logged(library, capsys, form, RuntimeError("broken")))
    assert "broken" in text, "the unexpected error is to be found in the log"
    for secret in (TOKEN, "Tesla", "Secret", "secret-id", "diary"):
        assert secret not in text


def test_a_line_of_text_ends_with_its_request(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    lines = logged(library, capsys, "text", RuntimeError("broken"))
    assert lines[0].startswith("quoth: the server met an unexpected error")
    assert any(line.endswith("[request mine]") for line in lines)


def test_nothing_is_said_while_all_is_well(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    assert logged(library, capsys, "text", None) == []
