"""The OpenAI-compatible door, as clients use it: the `openai` package against a server on loopback."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from pydantic import SecretStr
from ui_fixtures import SteeredReader, served, steered_reader, wait_for_line

from index import Library
from index.embedding import FakeEmbedder
from rag import Answer, Engine, Turn
from rag.record import cited, sources
from ui.render import SMALL_TALK_LINE
from ui.settings import Settings

RADAR = "Why did Tesla remove radar and lidar?"
LEANING = "And what does Musk say about it?"
NOT_IN_IT = "Which GPU did Karpathy buy in Paris?"
BELLS = b"# Bells\n\nThe bell of the ferry rings twice when radar finds a buoy.\n"


@pytest.fixture(scope="module")
def module_library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """The bundled summary and another document; needs no model."""
    with Library.open(tmp_path_factory.mktemp("served"), embedder=FakeEmbedder()) as library:
        library.add_bundled()
        library.add(BELLS, name="bells.md")
        yield library


@pytest.fixture(scope="module")
def client(module_library: Library) -> Iterator[OpenAI]:
    with served(module_library) as address, connected(address) as connection:
        yield connection


def connected(address: str, **options: Any) -> OpenAI:
    return OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, **options)


def said(*texts: str) -> list[Any]:
    """A conversation: the user and the assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]


def completed(client: OpenAI, *texts: str, **more: Any) -> Any:
    """The message that answers the last of the texts."""
    messages = more.pop("messages", said(*texts))
    options = {"model": "quoth", **more}
    return client.chat.completions.create(messages=messages, **options).choices[0].message


def as_json(answer: Answer, library: Library) -> object:
    """What a client gets of an answer of the engine, whose tuples are lists in JSON."""
    return _lists(asdict(cited(answer, sources(answer, library))))


def _lists(value: object) -> object:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


# Models


def test_a_client_finds_the_library_and_each_document_among_the_models(
    client: OpenAI, module_library: Library
) -> None:
    models = client.models.list().data
    records = module_library.documents()
    assert [model.id for model in models] == ["quoth", *(f"quoth/{record.id}" for record in records)]
    assert models[-1].to_dict()["name"] == "Quoth: Bells"
    assert models[-1].created == pytest.approx(time.time(), abs=600)


def test_a_model_can_be_looked_up(client: OpenAI, module_library: Library) -> None:
    wanted = f"quoth/{module_library.documents()[0].id}"
    assert client.models.retrieve(wanted).id == wanted
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-4o'"):
        client.models.retrieve("gpt-4o")


# Answers


def test_the_text_is_the_quotes_with_markers_and_their_sources(
    client: OpenAI, module_library: Library
) -> None:
    answer = Engine(module_library).ask(RADAR)
    text = completed(client, RADAR).content
    assert answer.quotes
    for number, quote in enumerate(answer.quotes, 1):
        assert f"{quote.text} [{number}]" in text
        place = f"({quote.document_id}:{quote.start}-{quote.end})"
        assert f"{number}. {module_library.document(quote.document_id).title}: " in text
        assert f"{' › '.join(quote.section)} {place}" in text


def test_the_answer_itself_rides_along(client: OpenAI, module_library: Library) -> None:
    expected = as_json(Engine(module_library).ask(RADAR), module_library)
    assert completed(client, RADAR).quoth == expected


def test_a_stream_is_the_same_answer_in_pieces(client: OpenAI) -> None:
    whole = completed(client, RADAR)
    options: Any = {"stream_options": {"include_usage": True}}
    with client.chat.completions.create(
        model="quoth", messages=said(RADAR), stream=True, **options
    ) as stream:
        *chunks, last = list(stream)
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == whole.content
    assert len([delta for delta in deltas if delta.content]) > 2
    assert [delta.to_dict()["quoth"] for delta in deltas if "quoth" in delta.to_dict()] == [whole.quoth]
    assert [chunk.choices[0].finish_reason for chunk in chunks][-2:] == [None, "stop"]
    assert len({chunk.id for chunk in [*chunks, last]}) == 1
    assert last.choices == []
    assert last.usage is not None


def test_the_packages_own_helper_puts_a_stream_together(client: OpenAI) -> None:
    with client.chat.completions.stream(model="quoth", messages=said(RADAR)) as stream:
        message = stream.get_final_completion().choices[0].message
    whole = completed(client, RADAR)
    assert (message.content, message.to_dict()["quoth"]) == (whole.content, whole.quoth)


def test_a_stream_ends_as_clients_expect(client: OpenAI) -> None:
    with httpx.Client(base_url=str(client.base_url)) as raw:
        response = raw.post(
            "chat/completions", json={"model": "quoth", "messages": said(RADAR), "stream": True}
        )
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = response.text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(line.startswith("data: {") for line in lines[:-2])


def test_abstaining_is_said_plainly(client: OpenAI) -> None:
    message = completed(client, NOT_IN_IT)
    assert message.content.startswith("The document does not say.\n\nClosest passages (not an answer):\n\n> ")
    assert message.quoth["status"] == "not_found"
    assert message.quoth["quotes"] == []


def test_small_talk_is_not_searched(client: OpenAI) -> None:
    assert completed(client, RADAR, "…", "Thanks!").content == SMALL_TALK_LINE


def test_one_document_can_be_asked_alone(client: OpenAI, module_library: Library) -> None:
    bells = module_library.documents()[-1].id
    answer = completed(
        client, "What does the ferry do when radar finds a buoy?", model=f"quoth/{bells}"
    ).quoth
    assert {quote["document_id"] for quote in answer["quotes"] + answer["leads"]} == {bells}


def test_the_example_of_the_documentation_runs(
    client: OpenAI, module_library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(__file__).parent.parent.joinpath("docs", "chat-clients.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example.replace("http://127.0.0.1:7860/v1", str(client.base_url)), names)
    names["client"].close()
    (first, *_) = Engine(module_library).ask(RADAR).quotes
    assert f"{first.document_id} {first.start} {first.end} {first.text}" in capsys.readouterr().out


# The conversation


def test_a_follow_up_leans_on_what_was_quoted(client: OpenAI, module_library: Library) -> None:
    engine = Engine(module_library)
    first = engine.ask(RADAR)
    expected = engine.ask(LEANING, history=[Turn(RADAR, first)])
    assert expected.resolved_question != LEANING
    assert as_json(expected, module_library) != as_json(
        engine.ask(LEANING, history=[Turn(RADAR)]), module_library
    )
    message = completed(client, RADAR, completed(client, RADAR).content, LEANING)
    assert message.quoth == as_json(expected, module_library)
    assert message.content.startswith("Understood as: ")


def test_messages_of_other_roles_and_parameters_of_language_models_have_no_effect(client: OpenAI) -> None:
    messages = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": [{"type": "text", "text": RADAR}]},
    ]
    tool = {"type": "function", "function": {"name": "shout", "parameters": {"type": "object"}}}
    steering = {"temperature": 2, "max_tokens": 1, "tools": [tool], "stop": ["Sensors"], "seed": 1}
    message = completed(client, messages=messages, **steering)
    assert message.content == completed(client, RADAR).content


@pytest.mark.parametrize("refused", ["", " ", "x" * 5_001])
def test_a_question_that_was_refused_does_not_end_the_conversation(client: OpenAI, refused: str) -> None:
    messages = [{"role": "user", "content": refused}, {"role": "user", "content": RADAR}]
    assert completed(client, messages=messages).content == completed(client, RADAR).content


# Errors


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ({"messages": said(" ")}, "the question is blank"),
        ({"messages": said("x" * 5_001)}, "the limit is 5,000"),
        ({"messages": said(RADAR, "because")}, "the last message is not the user's"),
        ({"messages": [{"role": "system", "content": "hello"}]}, "the last message is not the user's"),
        ({"messages": []}, "messages"),
        ({"messages": said("hi") * 2_001}, "messages"),
        ({"messages": [{"role": "captain", "content": "hi"}]}, "role"),
        ({"messages": said(RADAR), "n": 2}, "n: Input should be 1"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
                ]
            },
            "a part of type 'image_url'; Quoth reads text alone",
        ),
    ],
)
def test_what_cannot_be_used_is_a_bad_request(client: OpenAI, request_: Any, line: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "quoth", **request_})
    error = caught.value
    assert line in str(error)
    assert error.type == "invalid_request_error"
    assert isinstance(error.body, dict)
    assert set(error.body) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("model", ["gpt-4o", "quoth/", "quoth/0123456789abcdef", ""])
def test_an_unknown_model_is_not_found(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.NotFoundError, match=r"no (model|document) "):
        completed(client, RADAR, model=model)


@pytest.mark.parametrize("body", [{"messages": said("\ud800")}, {"messages": None}, {"model": 1}])
def test_what_is_no_text_is_a_bad_request(client: OpenAI, body: dict[str, object]) -> None:
    content = json.dumps({"model": "quoth", "messages": said(RADAR), **body})
    with httpx.Client(base_url=str(client.base_url)) as raw:  # the package sends no half characters
        response = raw.post("chat/completions", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_what_stands_in_front_answers_as_clients_read_it(module_library: Library) -> None:
    settings = Settings(token=SecretStr("sesame"))
    with served(module_library, settings=settings) as address, connected(address) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.models.list()
        assert isinstance(caught.value.body, dict)
        assert "needs its token" in caught.value.body["message"]
        assert caught.value.response.headers["www-authenticate"] == "Bearer"
        with client.copy(api_key="sesame") as known:
            assert known.models.list().data


def test_what_is_not_offered_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="quoth", input="radar")
    assert caught.value.type == "invalid_request_error"


def test_a_server_with_a_full_line_says_when_to_come_again(module_library: Library) -> None:
    reader = SteeredReader()
    settings = Settings(workers=1, queue=0)
    with (
        served(module_library, reader, settings=settings) as address,
        connected(address) as client,
        ThreadPoolExecutor(1) as thread,
    ):
        waiting = thread.submit(completed, client, RADAR)
        wait_for_line(address, 1)
        with pytest.raises(openai.InternalServerError, match="ask again later") as caught:
            completed(client, RADAR)
        reader.loaded.set()
        assert waiting.result(30).content
    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["retry-after"]) > 0


def test_a_defect_shows_nothing_of_the_insides(module_library: Library) -> None:
    reader = steered_reader(read_error=RuntimeError("secret"))
    with (
        served(module_library, reader) as address,
        connected(address) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        completed(client, RADAR, stream=True)
    assert caught.value.status_code == 500
    assert "secret" not in caught.value.response.text


def test_who_hangs_up_ends_the_work(module_library: Library) -> None:
    reader = SteeredReader()
    with served(module_library, reader) as address, connected(address, timeout=1.0) as client:
        for stream in (False, True):
            with pytest.raises(openai.APITimeoutError):
                completed(client, RADAR, stream=stream)
            wait_for_line(address, 0)
        reader.loaded.set()
        assert 'status="499"} 2' in httpx.get(f"{address}/metrics").text
