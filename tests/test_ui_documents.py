"""The routes of the page's documents, and what is made of the choice that a browser sends."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import GERMAN
from starlette.testclient import TestClient

import ui.documents
from index import Library
from index.embedding import FakeEmbedder
from index.errors import QuestionError
from ui.documents import DocumentHandlers, _step, asked, create_documents_api, missing, settled
from ui.jobs import AddProgress
from ui.problems import with_problems

BEES = "# Bees\n\nHoney bees sleep at night.\n"


class HeldEmbedder(FakeEmbedder):
    """Stops at its first batch until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.let_go = threading.Event()

    def embed_passages(self, *arguments: Any, **options: Any) -> Any:
        self.reached.set()
        assert self.let_go.wait(10)
        return super().embed_passages(*arguments, **options)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    with TestClient(with_problems(create_documents_api(library))) as opened:
        yield opened


def add(client: TestClient, content: str = BEES, **given: str) -> list[dict[str, Any]]:
    """The steps that the server tells."""
    response = client.post("/documents", params={"name": "bees.md", **given}, content=content.encode())
    assert response.status_code == 200
    return [json.loads(line) for line in response.text.splitlines()]


def titles(client: TestClient) -> list[str]:
    return [each["title"] for each in client.get("/documents").json()]


# Adding


def test_a_file_is_added_step_by_step(client: TestClient, library: Library) -> None:
    *steps, last = add(client)
    assert steps[0] == {"stage": "Reading", "percent": None}
    (record,) = library.documents()
    assert last == {"added": record.id, "title": "Bees", "known": False, "notice": None}
    assert client.get("/documents").json() == [
        {"id": record.id, "title": "Bees", "name": "bees.md", "sentences": 1}
    ]


def test_a_language_that_the_model_does_not_know_is_noticed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEmbedder, "languages", {"en"})
    assert "bees.md seems to be in German" in add(client, GERMAN)[-1]["notice"]


def test_progress_is_told_in_percent() -> None:
    progress = AddProgress()
    progress("embed", 32, 96)
    assert _step(progress) == {"stage": "Indexing", "percent": 33}
    progress("store", 0, 1)
    assert _step(progress) == {"stage": "Saving", "percent": None}


def test_a_title_is_taken_instead_of_the_text_s_own(client: TestClient) -> None:
    assert add(client, title=" Of\nbees ", name="")[-1]["title"] == "Of bees"
    assert titles(client) == ["Of bees"]


def test_what_is_there_already_is_said_and_keeps_its_title(client: TestClient) -> None:
    add(client)
    assert add(client, title="Other")[-1]["known"] is True
    assert titles(client) == ["Bees"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"name": "scan.xyz"}, "scan.xyz: no parser"),
        ({"content": " \n"}, "bees.md: nothing in this file"),
        ({"title": "x" * 301}, "A title has 1 to 300 characters"),
    ],
)
def test_a_file_that_fails_leaves_nothing_and_says_why(
    client: TestClient, given: dict[str, str], line: str
) -> None:
    assert add(client, **given)[-1]["error"].startswith(line)
    assert titles(client) == []


def test_a_defect_is_not_told_in_its_insides(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Library, "add", fail)
    assert add(client)[-1] == {"error": "Something went wrong; the server's log says what."}


def test_a_file_that_is_too_large_is_heard_out_and_refused(tmp_path: Path) -> None:
    with Library.open(tmp_path, embedder=FakeEmbedder(), max_document_bytes=100) as library:
        client = TestClient(with_problems(create_documents_api(library)))
        refused = client.post("/documents", params={"name": "long.txt"}, content=b"x" * 2**20)
        assert refused.status_code == 413
        assert refused.json()["detail"].startswith("long.txt has 1.0 MB")
        assert add(client)[-1]["title"] == "Bees"


def test_what_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    embedder = HeldEmbedder()
    with Library.open(tmp_path, embedder=embedder) as library:

        async def cancel() -> None:
            steps = DocumentHandlers(library).add(BEES.encode(), "bees.md")
            async for step in steps:
                if step["stage"] == "Indexing":
                    break
            await hang_up(steps, embedder.let_go)

        asyncio.run(cancel())
        assert embedder.reached.is_set()
        assert library.documents() == ()


def test_what_is_cancelled_as_it_is_saved_is_taken_out_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, let_go = threading.Event(), threading.Event()
    really_add = Library.add

    def add_and_wait(self: Library, *arguments: Any, **options: Any) -> Any:
        document = really_add(self, *arguments, **options)
        saved.set()
        assert let_go.wait(10)
        return document

    monkeypatch.setattr(Library, "add", add_and_wait)

    async def cancel() -> None:
        steps = DocumentHandlers(library).add(BEES.encode(), "bees.md")
        async for _ in steps:
            if saved.is_set():
                break
        await hang_up(steps, let_go)

    asyncio.run(cancel())
    assert saved.is_set()
    assert library.documents() == ()


async def hang_up(steps: AsyncIterator[Any], let_go: threading.Event) -> None:
    """Close the stream while the adding is held, then wait until that has ended."""
    (adding,) = asyncio.all_tasks() - {asyncio.current_task()}
    await steps.aclose()  # type: ignore[attr-defined]
    let_go.set()
    await adding


# Renaming and removing


def test_a_document_is_renamed(client: TestClient) -> None:
    document_id = add(client)[-1]["added"]
    assert client.patch(f"/documents/{document_id}", json={"title": "Hives"}).status_code == 200
    assert titles(client) == ["Hives"]


@pytest.mark.parametrize("title", ["", " ", "x" * 301, None, 7])
def test_a_title_that_is_none_is_refused(client: TestClient, title: object) -> None:
    document_id = add(client)[-1]["added"]
    assert client.patch(f"/documents/{document_id}", json={"title": title}).status_code == 422
    assert titles(client) == ["Bees"]


def test_a_removal_is_undone_in_its_place(client: TestClient) -> None:
    first = add(client)[-1]["added"]
    add(client, "# Wasps\n\nWasps sleep too.\n")
    undo = client.delete(f"/documents/{first}").json()["undo"]
    assert titles(client) == ["Wasps"]
    assert client.post(f"/removed/{undo}").status_code == 200
    assert titles(client) == ["Bees", "Wasps"]
    assert client.post(f"/removed/{undo}").status_code == 404


def test_a_removal_cannot_be_undone_for_ever(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui.documents, "UNDO_SECONDS", 0.0)
    undo = client.delete(f"/documents/{add(client)[-1]['added']}").json()["undo"]
    refused = client.post(f"/removed/{undo}")
    assert refused.status_code == 404
    assert "too late" in refused.json()["detail"]


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/documents/x"), ("POST", "/removed/x")])
def test_what_is_not_there_is_a_404(client: TestClient, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 404


# The choice


@pytest.mark.parametrize(
    ("choice", "opened", "left"),
    [
        ("b", "b", "b"),
        ("b,a", "b", "b,a"),
        ("b,gone,b,a", "b", "b,a"),
        ("b,*", "b", "b,*"),
        ("*", "a", "a,*"),
        ("gone,*", "a", "a,*"),
        ("gone", "a", "a"),
        ("", "a", "a"),
        (None, "a", "a"),
        (["b"], "a", "a"),
        ({"b": 1}, "a", "a"),
    ],
)
def test_a_choice_is_settled_by_what_is_there(choice: object, opened: str, left: str) -> None:
    assert settled(choice, ["a", "b", "c"]) == (opened, left)


@pytest.mark.parametrize("choice", ["a", "*", "", None])
def test_of_nothing_everything_is_chosen(choice: object) -> None:
    assert settled(choice, []) == (None, "*")


def test_a_choice_says_what_is_asked() -> None:
    assert asked("a") == ["a"]
    assert asked("a,b") == ["a", "b"]
    assert asked("a,*") is None


@pytest.mark.parametrize("choice", ["", None, 7, ["a"], {"path": "/etc/passwd"}])
def test_no_choice_asks_nothing(choice: object) -> None:
    with pytest.raises(QuestionError, match="choose"):
        asked(choice)


def test_a_missing_document_is_noticed() -> None:
    assert not missing("a,b", ["a", "b"])
    assert not missing("a,*", ["a"])
    assert missing("a,gone", ["a", "b"])
