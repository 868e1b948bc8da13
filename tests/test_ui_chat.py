"""What the page's handlers make of what a browser sends: it is checked like any input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from copy import deepcopy
from typing import Any

import gradio as gr
import pytest
from pydantic import TypeAdapter

from index import Library
from index.embedding import FakeEmbedder
from rag import Answer, Engine, Quote
from ui.chat import MAX_KEPT_ANSWERS, Handlers
from ui.documents import ALL
from ui.service import Service
from ui.settings import Settings

Stored = list[dict[str, Any]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("chat"), embedder=FakeEmbedder()) as opened:
        opened.add_bundled()
        yield opened


@pytest.fixture(scope="module")
def handlers(library: Library) -> Handlers:
    engine = Engine(library)
    service = Service.of(library, engine, Settings())
    service.startup.start()
    assert asyncio.run(service.startup.finished(30))
    return Handlers(service)


@pytest.fixture
def stored(library: Library) -> Stored:
    """A conversation of one answer as the browser keeps it."""
    (record,) = library.documents()
    document = library.document(record.id)
    sentence = document.sentences[5]
    text = document.text[sentence.start : sentence.end]
    quote = Quote(
        document.id, sentence.start, sentence.end, text, ("Highlights",), (sentence.start, sentence.end), 0.8
    )
    answers = [Answer("Why?", "Why?", "answered", 0.8, (quote,))]
    kept: Stored = TypeAdapter(list[Answer]).dump_python(answers, mode="json")
    return kept


def event(**data: object) -> gr.EventData:
    return gr.EventData(None, data)


def updates(stream: AsyncIterator[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    async def collect() -> list[tuple[Any, ...]]:
        return [update async for update in stream]

    return asyncio.run(collect())


def exported(handlers: Handlers, stored: object, form: str = "markdown") -> str:
    return str(handlers.export(stored, event(form=form))[0]["text"])


def test_what_the_browser_kept_is_shown_again(handlers: Handlers, stored: Stored) -> None:
    assert "## Why?" in exported(handlers, stored)


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Stored], object]:
    def apply(stored: Stored) -> Stored:
        change(stored[0])
        return stored

    return apply


@pytest.mark.parametrize(
    "tamper",
    [
        lambda stored: None,
        lambda stored: "garbage",
        lambda stored: {"0": stored},
        lambda stored: [*stored, 7],
        changed(lambda answer: answer.pop("status")),
        changed(lambda answer: answer.update(status="certain")),
        changed(lambda answer: answer.update(confidence=float("nan"))),
        changed(lambda answer: answer.update(confidence=7)),
        changed(lambda answer: answer["quotes"][0].update(text="Invented.")),
        changed(lambda answer: answer["quotes"][0].update(start=-3, end=10**9)),
        changed(lambda answer: answer["quotes"][0].update(focus=[0, 1])),
        changed(lambda answer: answer["quotes"][0].update(context=[-4, 10**9])),
        changed(lambda answer: answer["quotes"][0].update(document_id="unknown")),
    ],
)
def test_what_is_not_true_is_not_shown(
    handlers: Handlers, stored: Stored, tamper: Callable[[Stored], object]
) -> None:
    file, notice = handlers.export(tamper(deepcopy(stored)), event(form="markdown"))
    assert file == {}
    assert notice["tone"] == "bad"


def test_a_conversation_is_kept_up_to_a_limit(handlers: Handlers, stored: Stored) -> None:
    text = exported(handlers, stored * (MAX_KEPT_ANSWERS + 7))
    assert text.count("## Why?") == MAX_KEPT_ANSWERS


def test_a_question_is_shown_first_and_answered_then(handlers: Handlers) -> None:
    first, last = updates(handlers.ask("What is “Software 2.0”?", ALL, [], None, event()))
    assert first[0] == {"turns": [], "pending": "What is “Software 2.0”?"}
    assert first[1] == ""  # the field is empty again
    assert last[0]["pending"] is None
    assert [turn["question"] for turn in last[0]["turns"]] == ["What is “Software 2.0”?"]


def test_a_suggested_question_leaves_what_is_being_typed(handlers: Handlers) -> None:
    first, _ = updates(handlers.ask("half a quest", ALL, [], None, event(question="What is “Software 2.0”?")))
    assert first[0]["pending"] == "What is “Software 2.0”?"
    assert first[1] == gr.skip()


@pytest.mark.parametrize("typed", ["", " \n\t", None, 7, ["Why?"]])
def test_nothing_asked_changes_nothing(handlers: Handlers, typed: Any) -> None:
    (only,) = updates(handlers.ask(typed, ALL, [], None, event()))
    assert set(map(str, only)) == {str(gr.skip())}


@pytest.mark.parametrize("choice", ["unknown", "", 7, None, {"path": "/etc/passwd"}])
def test_a_choice_of_nothing_that_is_there_is_said(handlers: Handlers, choice: object) -> None:
    _, last = updates(handlers.ask("Why?", choice, [], None, event()))
    assert last[3]["tone"] == "bad"
    assert last[1] == "Why?"  # given back


def test_several_documents_are_asked_at_once(handlers: Handlers, library: Library) -> None:
    (record,) = library.documents()
    _, last = updates(handlers.ask("What is “Software 2.0”?", f"{record.id},{record.id}", [], None, event()))
    assert [turn["question"] for turn in last[0]["turns"]] == ["What is “Software 2.0”?"]


@pytest.mark.parametrize("document", ["gone", "../x", "*"])
def test_a_document_that_is_not_there_is_said(handlers: Handlers, document: str) -> None:
    reader, notice = handlers.open_document(event(document=document))
    assert reader == gr.skip()
    assert notice["tone"] == "bad"


@pytest.mark.parametrize("document", ["", None, 7, ["x"]])
def test_the_reader_is_emptied(handlers: Handlers, document: object) -> None:
    assert handlers.open_document(event(document=document))[0] is None


def test_a_document_is_opened(handlers: Handlers, library: Library) -> None:
    (record,) = library.documents()
    assert handlers.open_document(event(document=record.id))[0]["id"] == record.id


@pytest.mark.parametrize(
    ("replaces", "kept"), [(0, 0), (1, 1), (-1, 0), (99, 2), (True, 2), ("0", 2), (None, 2)]
)
def test_an_edited_question_takes_the_place_of_what_it_names(
    handlers: Handlers, stored: Stored, replaces: object, kept: int
) -> None:
    asked = event(question="Who?", replaces=replaces)
    first, _ = updates(handlers.ask("", ALL, stored * 2, None, asked))
    assert len(first[0]["turns"]) == kept


@pytest.mark.parametrize(
    ("strict", "used"),
    [(0.9, 0.9), (0, 0.0), (7, 0.5), (float("nan"), 0.5), ("1", 0.5), (None, 0.5), ([], 0.5)],
)
def test_a_strictness_that_is_none_is_the_usual_one(handlers: Handlers, strict: object, used: float) -> None:
    assert handlers.toolbar_value(strict)["strict"] == used


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"turn": 0, "verdict": "superb"},
        {"turn": 7, "verdict": "helpful"},
        {"turn": -1, "verdict": "helpful"},
        {"turn": 0, "verdict": "answer_here"},
        {"turn": 0, "verdict": "answer_here", "document": "gone", "sentence": "s-0"},
        {"turn": 0, "verdict": "answer_here", "document": "DOCUMENT", "sentence": "s-99999"},
        {"turn": 0, "verdict": "answer_here", "document": "DOCUMENT", "sentence": "s-x"},
    ],
)
def test_feedback_that_makes_no_sense_is_said_and_not_kept(
    handlers: Handlers, library: Library, stored: Stored, said: dict[str, Any]
) -> None:
    (record,) = library.documents()
    said = {key: record.id if value == "DOCUMENT" else value for key, value in said.items()}
    assert handlers.rate(stored, ALL, event(**said))["tone"] == "bad"
    assert library.feedback() == ()


def test_feedback_is_kept_with_the_documents_that_were_asked(
    handlers: Handlers, library: Library, stored: Stored
) -> None:
    (record,) = library.documents()
    assert handlers.rate(stored, record.id, event(turn=0, verdict="helpful"))["tone"] != "bad"
    [said] = library.feedback()
    assert (said.verdict, said.documents) == ("helpful", (record.id,))


def test_an_earlier_conversation_is_opened_and_the_present_one_kept(
    handlers: Handlers, stored: Stored
) -> None:
    conversation, field, answers, toolbar, _ = handlers.reopen([], None, event(id="c", answers=stored))
    assert [turn["question"] for turn in conversation["turns"]] == ["Why?"]
    assert (field, len(answers), toolbar["ended"], toolbar["reopened"]) == ("", 1, [], "c")
    _, _, answers, toolbar, _ = handlers.start_over(stored, None)
    assert (answers, len(toolbar["ended"])) == ([], 1)


@pytest.mark.parametrize("answers", [None, "x", [7], [{"question": "Why?"}]])
def test_an_earlier_conversation_that_is_none_leaves_the_present_one(
    handlers: Handlers, stored: Stored, answers: object
) -> None:
    conversation, field, kept, toolbar, notice = handlers.reopen(stored, None, event(id="c", answers=answers))
    assert [turn["question"] for turn in conversation["turns"]] == ["Why?"]
    assert field == kept == toolbar == gr.skip()
    assert notice["tone"] == "bad"


def foreign(stored: Stored) -> dict[str, Any]:
    """An answer whose document is not in the library."""
    answer = deepcopy(stored[0])
    answer["quotes"][0]["document_id"] = "gone"
    return answer


def test_an_earlier_conversation_of_which_a_part_is_missing_stays_in_the_list(
    handlers: Handlers, stored: Stored
) -> None:
    given = event(id="c", answers=[foreign(stored), *stored])
    conversation, _, _, toolbar, _ = handlers.reopen([], None, given)
    assert [turn["question"] for turn in conversation["turns"]] == ["Why?"]
    assert toolbar["reopened"] is None


def test_an_answer_keeps_its_place_when_the_document_of_one_before_it_is_gone(
    handlers: Handlers, library: Library, stored: Stored
) -> None:
    kept = [foreign(stored), *stored, {**stored[0], "question": "What else?"}]
    assert handlers.rate(kept, ALL, event(turn=1, verdict="helpful"))["tone"] != "bad"
    assert library.feedback()[-1].question == "Why?"
    assert handlers.rate(kept, ALL, event(turn=0, verdict="helpful"))["tone"] == "bad"
    first, _ = updates(handlers.ask("", ALL, kept, None, event(question="Who?", replaces=2)))
    assert [turn["question"] for turn in first[0]["turns"]] == ["Why?"]


def test_what_an_edit_would_have_replaced_comes_back_when_it_fails(
    handlers: Handlers, stored: Stored
) -> None:
    edited = event(question="x" * 5_001, replaces=0)
    pending, failed = updates(handlers.ask("", ALL, stored * 2, None, edited))
    assert pending[0]["turns"] == []
    assert len(failed[0]["turns"]) == len(failed[2]) == 2
    assert failed[1] == "x" * 5_001
