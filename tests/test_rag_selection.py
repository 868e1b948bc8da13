from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import document_of

from index import Document
from index.document import Place
from index.passages import Passage
from index.store import StoredPassage
from rag.reader import OperatingPoint, Reading, Span
from rag.retrieval import Hit
from rag.selection import context_of, select

POINT = OperatingPoint(answer=0.5, unsure=0.2)
TEXT = """Pets at home

Cats

Cats sleep sixteen hours a day. They hunt at dusk. Whiskers measure gaps. The whiskers measure the gaps.

Q: Why do dogs bark?
A: Dogs bark at strangers. This scares thieves.
"""


@pytest.fixture
def document() -> Document:
    return document_of(TEXT)


def span(document: Document, sentence: int, score: float) -> Span:
    start, end = document.sentences[sentence].start, document.sentences[sentence].end
    passage = Passage(document.id, start, end, 0, "", ((start, end),))
    vector = np.ones(1, dtype=np.float32)
    stored = StoredPassage(1, passage, vector, vector[None, :], (), ((),))
    return Span(Hit(document, stored, 0.0, 0.0, 0.0, vector), start, end, score, None)


def quoted(document: Document, confidence: float, *scores: tuple[int, float]) -> tuple[str, list[str]]:
    spans = tuple(span(document, sentence, score) for sentence, score in scores)
    status, quotes = select(Reading(spans, confidence), POINT)
    return status, [quote.text for quote in quotes]


@pytest.mark.parametrize(
    ("confidence", "status"),
    [(0.9, "answered"), (0.5, "answered"), (0.49, "unsure"), (0.2, "unsure"), (0.1, "not_found")],
)
def test_status_follows_the_operating_point(document: Document, confidence: float, status: str) -> None:
    assert quoted(document, confidence, (0, 0.5))[0] == status


def test_at_most_three_and_none_far_below_the_best(document: Document) -> None:
    numbers = [n for n in range(len(document.sentences)) if document.block_of(n).quotable]
    assert len(quoted(document, 0.9, *((n, 0.9) for n in numbers))[1]) == 3
    assert len(quoted(document, 0.9, (0, 0.8), (1, 0.79), (2, 0.05))[1]) == 2


def test_the_rest_of_an_answer_comes_along(document: Document) -> None:
    answer = [n for n in range(len(document.sentences)) if document.block_of(n).kind == "answer"]
    assert quoted(document, 0.9, (answer[0], 0.9), (0, 0.05), (answer[1], 0.001))[1] == [
        "Dogs bark at strangers.",
        "This scares thieves.",
    ]


def test_leads_are_three_however_weak(document: Document) -> None:
    assert len(quoted(document, 0.1, (0, 0.1), (1, 0.001), (2, 0.0001))[1]) == 3


def test_the_same_statement_is_quoted_once(document: Document) -> None:
    assert quoted(document, 0.9, (2, 0.9), (3, 0.85), (0, 0.8))[1] == [
        "Whiskers measure gaps.",
        "Cats sleep sixteen hours a day.",
    ]


def test_nothing_to_read_is_not_found() -> None:
    assert select(Reading((), 0.0), POINT) == ("not_found", ())


def contexts(document: Document) -> dict[str, str | None]:
    found = {}
    for number, sentence in enumerate(document.sentences):
        context = context_of(document, number)
        text = document.text[sentence.start : sentence.end]
        found[text] = None if context is None else document.text[context[0] : context[1]]
    return found


def test_what_a_sentence_leans_on(document: Document) -> None:
    found = contexts(document)
    assert found["Cats sleep sixteen hours a day."] is None
    assert found["They hunt at dusk."] == "Cats sleep sixteen hours a day."
    assert found["Dogs bark at strangers."] == "Why do dogs bark?"
    assert found["This scares thieves."] == "Dogs bark at strangers."


def test_a_quote_knows_its_page(document: Document) -> None:
    start = document.sentences[1].start
    paged = dataclasses.replace(document, places=(Place(0, "p. 1"), Place(start, "p. 2")))
    reading = Reading((span(paged, 0, 0.9), span(paged, 1, 0.8)), 0.9)
    assert [quote.place for quote in select(reading, POINT)[1]] == ["p. 1", "p. 2"]


def test_a_table_row_leans_on_its_header() -> None:
    table = document_of("# Prices\n\n| Plan | Price |\n|---|---|\n| Basic | 5 |\n| Pro | 9 |\n", "prices.md")
    assert contexts(table)["Pro | 9"] == "Plan | Price"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Radar was removed. Radar was removed because it disagreed with the cameras.", 2),
        ("The drug is safe in pregnancy. The drug is not safe in pregnancy.", 2),
        ("The bridge opened in 1932. The bridge opened in 1933.", 2),
        ("Radar was removed because it disagreed with cameras. Radar was removed.", 1),
        ("🐕 🐕. Dogs bark.", 2),
    ],
)
def test_what_adds_something_is_kept(text: str, kept: int) -> None:
    document = document_of(f"A title\n\n{text}\n")
    assert len(quoted(document, 0.9, (0, 0.9), (1, 0.8))[1]) == kept
