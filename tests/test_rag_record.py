from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import Library
from index.errors import RecordError
from rag import Answer, Quote
from rag.record import MAX_RECORD_BYTES, CitedQuote, cited, read_record, to_json

NOTE = b"Sensors\n\nRadar was removed in 2021. It disagreed with the cameras.\n"


@pytest.fixture
def answers(library: Library) -> list[Answer]:
    document = library.add(NOTE, name="note.txt")
    first, second = (
        Quote(
            document.id, each.start, each.end, document.text[each.start : each.end], ("Sensors",), None, 0.7
        )
        for each in document.sentences
    )
    return [
        Answer("When?", "When?", "answered", 0.7, (first,)),
        Answer("Why?", "Why? (When?)", "unsure", 0.3, leads=(second, first), resolution="ellipsis"),
        Answer("thanks", "thanks", "not_found", 0.0, resolution="chitchat"),
    ]


@pytest.fixture
def exported(library: Library, answers: list[Answer]) -> dict[str, Any]:
    documents = {record.id: library.document(record.id) for record in library.documents()}
    exported: dict[str, Any] = json.loads(to_json(answers, documents))
    return exported


def read(value: object) -> list[Answer]:
    return list(read_record(json.dumps(value).encode(), "talk.json").turns)


def plain(answers: list[Answer]) -> list[dict[str, Any]]:
    """The answers without what names their documents."""
    names = [field.name for field in fields(Quote)]
    content = [asdict(answer) for answer in answers]
    for answer in content:
        for kind in ("quotes", "leads"):
            answer[kind] = [{name: quote[name] for name in names} for quote in answer[kind]]
    return content


def test_a_conversation_comes_back_as_it_was(exported: dict[str, Any], answers: list[Answer]) -> None:
    assert plain(read(exported)) == plain(answers)


def test_every_quote_names_its_document(exported: dict[str, Any]) -> None:
    quotes = [quote for answer in read(exported) for quote in answer.quotes + answer.leads]
    assert len(quotes) == 3
    for quote in quotes:
        assert isinstance(quote, CitedQuote)
        assert (quote.title, quote.name) == ("Sensors", "note.txt")


def test_the_file_says_its_format_and_when_it_was_written(exported: dict[str, Any]) -> None:
    assert exported["quoth"] == 1
    assert exported["exported"].endswith("+00:00")
    assert read_record(json.dumps(exported).encode(), "talk.json").exported == exported["exported"]


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
def test_what_ask_and_chat_print_is_read_too(answers: list[Answer], before: bytes) -> None:
    one = json.dumps(asdict(answers[0]), indent=2).encode()
    lines = "".join(json.dumps(asdict(answer)) + "\n" for answer in answers).encode()
    assert plain(list(read_record(before + one, "ask").turns)) == plain(answers[:1])
    assert plain(list(read_record(before + lines, "chat").turns)) == plain(answers)


def test_an_answer_names_the_documents_that_it_quotes(library: Library, answers: list[Answer]) -> None:
    (record,) = library.documents()
    named = cited(answers[0], {record.id: library.document(record.id)})
    assert [quote.title for quote in named.quotes] == ["Sensors"]
    assert plain([named]) == plain(answers[:1])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"a poem\nof two lines",
        b"\n \n",
        b'{"quoth": 1, "exported": "", "turns": []}\n{"quoth": 1, "exported": "", "turns": []}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"question": "\\ud800"}',
        b'{"quoth": 1}',
        b'{"quoth": "1", "exported": "", "turns": {}}',
        b'{"quoth": 0, "exported": "", "turns": []}',
        b'{"version": "v2.0", "data": []}',
    ],
)
def test_other_files_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(RecordError, match=r"^talk\.json is neither") as raised:
        read_record(content, "talk.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("start", -1),
        ("start", 10**30),
        ("end", 0),
        ("end", 10**4_000),
        ("text", ""),
        ("text", 7),
        ("focus", [5, 5]),
        ("context", [-3, 2]),
        ("section", "Sensors"),
        ("document_id", None),
    ],
)
def test_a_quote_that_none_can_be_is_refused(exported: dict[str, Any], field: str, value: object) -> None:
    exported["turns"][0]["quotes"][0][field] = value
    with pytest.raises(RecordError):
        read(exported)


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", "sure"), ("confidence", 1.5), ("confidence", float("nan")), ("resolution", "guess")],
)
def test_an_answer_that_none_can_be_is_refused(exported: dict[str, Any], field: str, value: object) -> None:
    exported["turns"][0][field] = value
    with pytest.raises(RecordError):
        read(exported)


def test_too_much_is_refused(exported: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="MB"):
        read_record(b" " * (MAX_RECORD_BYTES + 1), "talk.json")
    (quote,) = exported["turns"][0]["quotes"]
    with pytest.raises(RecordError):
        read(exported | {"turns": [exported["turns"][0] | {"quotes": [quote] * 21}]})
    with pytest.raises(RecordError):
        read(exported | {"turns": exported["turns"][:1] * 1_001})


def test_a_newer_format_says_so(exported: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="newer version of Quoth"):
        read(exported | {"quoth": 2, "turns": "another form"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["quoth", "exported", "turns", "question", "quotes", "text"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(value=JSON)
def test_any_json_is_read_or_refused(value: object) -> None:
    with suppress(RecordError):
        read(value)
