"""The REST interface: what each door takes and gives."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from ui_fixtures import steered_reader

from index import Library
from index.embedding import FakeEmbedder
from index.errors import LibraryFullError, LibraryUnreadableError
from rag import Engine
from ui.server import create_app
from ui.settings import Settings

HERE = "http://127.0.0.1:7860"
RADAR = "Why did Tesla remove radar and lidar?"
BEES = b"# Bees\n\nBees make honey in summer. They dance."


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty one that takes documents of at most 1 MB."""
    folder = tmp_path / "library"
    with Library.open(folder, embedder=FakeEmbedder(), max_document_bytes=2**20) as opened:
        yield opened


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    """The application over an empty library, with the summary in it once it is ready."""
    settings = Settings(max_batch=3, max_documents=2, max_history=2, max_document_mb=1, max_jobs=1)
    engine = Engine(library, reader=steered_reader())
    with TestClient(create_app(library, engine, settings), HERE, raise_server_exceptions=False) as opened:
        deadline = time.monotonic() + 60
        while not opened.get("/healthz").json()["ready"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield opened


def add(client: TestClient, content: bytes = BEES, name: str = "bees.md", **params: Any) -> httpx.Response:
    return client.post("/api/v1/documents", params={"name": name, **params}, content=content)


def detail(response: httpx.Response, status: int) -> str:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["detail"])


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    """Name and data of every server-sent event."""
    assert response.headers["content-type"].startswith("text/event-stream")
    pairs = (event.split("\n", 1) for event in response.text.strip().split("\n\n"))
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in pairs]


# Asking


def test_a_stream_tells_the_stages_then_the_quotes_then_the_same_answer(client: TestClient) -> None:
    told = events(client.post("/api/v1/ask/stream", json={"question": RADAR}))
    answer = client.post("/api/v1/ask", json={"question": RADAR}).json()
    stages = [data["stage"] for name, data in told if name == "stage"]
    assert stages == ["resolve", "retrieve", "read", "select"]
    assert [data for name, data in told if name == "quote"] == answer["quotes"]
    assert told[-1] == ("answer", answer)


def test_a_stream_that_cannot_begin_is_a_problem(client: TestClient) -> None:
    assert "blank" in detail(client.post("/api/v1/ask/stream", json={"question": " "}), 422)


def test_a_stream_that_breaks_says_so(library: Library) -> None:
    library.add_bundled()
    engine = Engine(library, reader=steered_reader(read_error=RuntimeError("secret")))
    with TestClient(create_app(library, engine, Settings()), HERE, raise_server_exceptions=False) as client:
        told = events(client.post("/api/v1/ask/stream", json={"question": RADAR}))
    assert [name for name, _ in told] == ["stage", "stage", "error"]
    assert told[-1][1]["status"] == 500
    assert "secret" not in str(told)


def test_a_batch_gives_every_question_its_answer_or_its_problem(client: TestClient) -> None:
    batch = {"questions": [{"question": RADAR, "documents": ["x"]}, {"question": RADAR}]}
    first, second = client.post("/api/v1/ask/batch", json=batch).json()
    assert (first["answer"], first["problem"]["status"]) == (None, 404)
    assert second == {"answer": client.post("/api/v1/ask", json={"question": RADAR}).json(), "problem": None}


def test_a_batch_has_its_bound(client: TestClient) -> None:
    batch = {"questions": [{"question": RADAR}] * 4}
    assert "limit is 3" in detail(client.post("/api/v1/ask/batch", json=batch), 422)


@pytest.mark.parametrize("door", ["ask", "ask/stream"])
@pytest.mark.parametrize(
    "more",
    [{"documents": ["a", "b", "c"]}, {"history": [{"question": "a"}] * 3}],
    ids=["documents", "history"],
)
def test_what_comes_with_a_question_is_bounded(client: TestClient, door: str, more: dict[str, Any]) -> None:
    assert "limit is 2" in detail(client.post(f"/api/v1/{door}", json={"question": RADAR, **more}), 422)


def test_passages_are_found_in_their_place(client: TestClient, library: Library) -> None:
    found = client.post("/api/v1/search", json={"question": "radar and lidar", "limit": 3}).json()
    assert len(found) == 3
    assert found[0]["section"][-1]
    for passage in found:
        text = library.document(passage["document_id"]).text
        assert text[passage["start"] : passage["end"]] == passage["text"]
    assert [passage["score"] for passage in found] == sorted((p["score"] for p in found), reverse=True)


@pytest.mark.parametrize("limit", [0, 101, True, "5", 1.5])
def test_a_search_has_a_sane_limit(client: TestClient, limit: object) -> None:
    detail(client.post("/api/v1/search", json={"question": "radar", "limit": limit}), 422)


@pytest.mark.parametrize("strict", [False, "0.5"])
def test_what_is_no_number_in_json_is_none_here(client: TestClient, strict: object) -> None:
    detail(client.post("/api/v1/ask", json={"question": RADAR, "strict": strict}), 422)


# Documents


def test_a_document_comes_and_goes(client: TestClient, library: Library) -> None:
    added = add(client)
    assert added.status_code == 201
    job = added.json()
    assert (job["state"], job["is_new"], job["document"]["title"]) == ("done", True, "Bees")
    at = added.headers["location"]
    assert client.get(at).json() == job["document"] == asdict(library.documents()[-1])
    assert client.get(f"{at}/text").text == library.document(job["document"]["id"]).text
    assert client.get(f"{at}/text", params={"end": 4}).text == "Bees"
    (section,) = client.get(f"{at}/outline").json()
    assert (section["path"], section["n_sentences"]) == (["Bees"], 2)
    assert client.patch(at, json={"title": "Of bees"}).json()["title"] == "Of bees"
    assert client.delete(at).status_code == 204
    detail(client.get(at), 404)
    detail(client.delete(at), 404)


def test_the_same_content_twice_is_one_document(client: TestClient, library: Library) -> None:
    assert add(client).status_code == 201
    again = add(client, name="other.md")
    assert (again.status_code, again.json()["is_new"]) == (200, False)
    assert len(library.documents()) == 2


def test_a_form_brings_a_file_with_its_name(client: TestClient) -> None:
    response = client.post("/api/v1/documents", files={"file": ("ants.md", b"# Ants\n\nAnts march.")})
    assert response.json()["document"]["name"] == "ants.md"


@pytest.mark.parametrize("form", [{"other": ("a.md", b"x")}, {"file": (None, "no file")}])
def test_a_form_without_a_file_is_a_422(client: TestClient, form: dict[str, Any]) -> None:
    assert "`file`" in detail(client.post("/api/v1/documents", files=form), 422)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [("a.pdf", b"%PDF-1.7 nonsense", 422), ("a.png", b"\x89PNG\r\n\x1a\n\0", 415), ("a.txt", b"  ", 422)],
)
def test_a_file_that_cannot_be_read_is_a_problem_with_its_name(
    client: TestClient, name: str, content: bytes, status: int
) -> None:
    assert name in detail(add(client, content, name), status)


@pytest.mark.parametrize("size", [2**20 + 1, 3 * 2**20, 5 * 2**20])
def test_a_document_that_is_too_large_is_a_413(client: TestClient, library: Library, size: int) -> None:
    detail(add(client, b"x" * size), 413)
    form = client.post("/api/v1/documents", files={"file": ("a.txt", b"x" * size)})
    detail(form, 413)
    assert len(library.documents()) == 1


def test_another_request_that_is_too_large_is_a_413(client: TestClient) -> None:
    detail(client.post("/api/v1/ask", json={"question": "x" * 2**21}), 413)


def test_an_upload_that_takes_longer_is_a_job_that_can_be_cancelled(
    client: TestClient, library: Library
) -> None:
    with library._changes:  # nothing can be added meanwhile
        slow = add(client, wait=0.05)
        assert (slow.status_code, slow.json()["state"]) == (202, "running")
        job = slow.headers["location"]
        waiting = add(client, b"# Ants\n\nAnts march.", "ants.md", wait=0).headers["location"]
        assert "uploads wait" in detail(busy := add(client, b"# Wasps\n\nWasps sting."), 503)
        assert int(busy.headers["retry-after"]) > 0
        assert client.post(f"{waiting}/cancel").status_code == 200
    assert until_over(client, job)["state"] == "done"
    assert until_over(client, waiting)["state"] == "cancelled"
    assert [job["name"] for job in client.get("/api/v1/jobs").json()] == ["ants.md", "bees.md"]
    assert [record.name for record in library.documents()][1:] == ["bees.md"]


def until_over(client: TestClient, job: str) -> Any:
    deadline = time.monotonic() + 20
    while (status := client.get(job).json())["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return status


def test_an_unknown_job_is_a_404(client: TestClient) -> None:
    detail(client.get("/api/v1/jobs/x"), 404)
    detail(client.post("/api/v1/jobs/x/cancel"), 404)


def test_a_list_comes_in_pages(client: TestClient) -> None:
    add(client)
    first = client.get("/api/v1/documents", params={"limit": 1})
    assert first.headers["x-total-count"] == "2"
    assert first.links["next"]["url"] == "/api/v1/documents?limit=1&offset=1"
    second = client.get(first.links["next"]["url"])
    assert "next" not in second.links
    assert [*first.json(), *second.json()] == client.get("/api/v1/documents").json()


@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/text", "/{id}/outline"])
def test_what_has_not_changed_is_not_sent_again(client: TestClient, path: str) -> None:
    record = add(client).json()["document"]
    path = "/api/v1/documents" + path.format(**record)
    etag = client.get(path).headers["etag"]
    again = client.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    add(client, BEES + b" They sting.")
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_nobody_changes_what_somebody_else_changed(client: TestClient) -> None:
    at = add(client).headers["location"]
    etag = client.get(at).headers["etag"]
    assert client.patch(at, json={"title": "One"}, headers={"If-Match": etag}).status_code == 200
    detail(client.patch(at, json={"title": "Two"}, headers={"If-Match": etag}), 412)
    detail(client.delete(at, headers={"If-Match": etag}), 412)
    assert client.get(at).json()["title"] == "One"
    assert client.delete(at, headers={"If-Match": client.get(at).headers["etag"]}).status_code == 204


def test_the_allowed_methods_of_a_path_are_told(client: TestClient) -> None:
    response = client.put("/api/v1/documents/x")
    detail(response, 405)
    assert response.headers["allow"] == "DELETE, GET, PATCH"


# Checking and feedback


def test_quotes_are_checked(client: TestClient) -> None:
    answer = client.post("/api/v1/ask", json={"question": RADAR}).json()
    forged = answer | {"quotes": [answer["quotes"][0] | {"text": "Tesla loves radar."}]}
    response = client.post("/api/v1/verify", json={"turns": [answer, forged], "quoth": 1, "exported": ""})
    verdicts = [(check["turn"], check["verdict"]) for check in response.json()]
    assert verdicts[:-1] == [(1, "right")] * len(answer["quotes"])
    assert verdicts[-1][0] == 2
    assert verdicts[-1][1] == "changed"


def test_feedback_is_kept_and_exported(client: TestClient, library: Library) -> None:
    answer = client.post("/api/v1/ask", json={"question": RADAR}).json()
    quote = answer["quotes"][0]
    selected = {name: quote[name] for name in ("document_id", "start", "end")}
    given = {"answer": answer, "verdict": "answer_here", "selected": selected}
    response = client.post("/api/v1/feedback", json=given)
    assert (response.status_code, response.json()["answer"]["text"]) == (201, quote["text"])
    assert client.get("/api/v1/feedback").json() == [response.json()]
    (article,) = client.get("/api/v1/feedback/squad").json()["data"]
    (asked,) = [qa for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    assert asked["question"] == RADAR


def test_feedback_on_what_nobody_says_is_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/ask", json={"question": RADAR}).json()
    answer["quotes"][0]["text"] = "Tesla loves radar."
    detail(client.post("/api/v1/feedback", json={"answer": answer, "verdict": "helpful"}), 422)


# The server itself


def test_ready_or_not(library: Library) -> None:
    reader = steered_reader()
    reader.loaded.clear()
    with TestClient(create_app(library, Engine(library, reader=reader), Settings()), HERE) as client:
        assert client.get("/healthz").status_code == 200
        not_yet = client.get("/readyz")
        detail(not_yet, 503)
        assert int(not_yet.headers["retry-after"]) > 0
        reader.loaded.set()
        until_ready = time.monotonic() + 20
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < until_ready
            time.sleep(0.02)


def test_questions_stages_and_requests_are_counted(client: TestClient) -> None:
    client.post("/api/v1/ask", json={"question": RADAR})
    client.get("/api/v1/documents/x")
    counted = client.get("/metrics").text
    assert 'quoth_questions_total{status="answered"} 1.0' in counted
    assert 'quoth_stage_seconds_count{stage="read"} 1.0' in counted
    route = 'method="GET",route="/api/v1/documents/{document_id}",status="404"'
    assert f"quoth_request_seconds_count{{{route}}} 1.0" in counted
    assert "quoth_questions_in_line 0.0" in counted
    assert "quoth_documents 1.0" in counted


def test_settings_that_are_safe_to_show(client: TestClient) -> None:
    shown = client.get("/api/v1/settings").json()
    assert shown["max_batch"] == 3
    assert not {"library", "token", "token_file", "host"} & set(shown)


@pytest.mark.parametrize("kind", [LibraryFullError, LibraryUnreadableError])
def test_no_folder_of_this_machine_is_told(library: Library, kind: type[Exception], tmp_path: Path) -> None:
    library.add_bundled()
    engine = Engine(library, reader=steered_reader(read_error=kind(f"cannot write {tmp_path}")))
    with TestClient(create_app(library, engine, Settings()), HERE, raise_server_exceptions=False) as client:
        response = client.post("/api/v1/ask", json={"question": RADAR})
    assert response.status_code == (507 if kind is LibraryFullError else 500)
    assert str(tmp_path) not in response.text


def test_a_request_keeps_its_id(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    forged = client.get("/healthz", headers={"X-Request-ID": 'a"\x01b'}).headers["x-request-id"]
    assert forged == "ab"
    assert len(client.get("/healthz").headers["x-request-id"]) == 32


def test_the_documentation_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http-equiv", "").replace(HERE, "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert asset in page.text
        assert client.get(f"/api/v1/docs/static/{asset}").status_code == 200


def test_who_hangs_up_leaves_the_line(library: Library) -> None:
    """A question that nobody waits for any more is not worked on."""
    library.add_bundled()
    reader = steered_reader()
    reader.loaded.clear()  # the question waits for the models
    app = create_app(library, Engine(library, reader=reader), Settings())
    service = app.state.service
    with TestClient(app, HERE) as client:
        gone = threading.Event()
        client.portal.start_task_soon(hang_up, app, gone)
        deadline = time.monotonic() + 10
        while service.engine.in_line != 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        gone.set()
        while service.engine.in_line:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        reader.loaded.set()


async def hang_up(app: Any, gone: threading.Event) -> None:
    """Send a question to the application and hang up at the sign."""
    import asyncio

    body = json.dumps({"question": RADAR}).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/v1/ask",
        "raw_path": b"/api/v1/ask",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 7860),
        "headers": [(b"host", b"127.0.0.1:7860"), (b"content-type", b"application/json")],
    }
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if message := next(messages, None):
            return message
        while not gone.is_set():
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        """Nobody listens."""

    await app(scope, receive, send)
