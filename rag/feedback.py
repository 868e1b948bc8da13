"""Feedback on answers: from what a person said to what is stored, and from there to SQuAD 2.0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from index import Document, Excerpt, Feedback, FeedbackRecord, Library
from index.document import one_line
from index.errors import FeedbackError
from index.feedback import Verdict
from rag.answer import Answer
from rag.engine import Engine

Selection = tuple[str, int, int]
"""What a person marked: document id and offsets."""


def give_feedback(
    library: Library,
    engine: Engine,
    answer: Answer,
    verdict: Verdict,
    *,
    documents: Sequence[str] | None = None,
    selected: Selection | None = None,
) -> FeedbackRecord:
    """Keep what a person said about the answer that `engine` gave from these documents (None: from all).

    `selected` belongs to "answer_here"; the whole sentences that it touches count. Raises FeedbackError,
    DocumentNotFoundError and LibraryBusyError.
    """
    feedback = Feedback(
        verdict=verdict,
        question=answer.question,
        resolved_question=answer.resolved_question,
        documents=tuple(documents or ()),
        answered=answer.status == "answered",
        confidence=answer.confidence,
        shown=tuple(
            Excerpt(quote.document_id, quote.start, quote.end, quote.text)
            for quote in answer.quotes or answer.leads
        ),
        answer=None if selected is None else _sentences_at(library.document(selected[0]), *selected[1:]),
        reader=engine.reader.fingerprint,
    )
    return library.add_feedback(feedback)


def _sentences_at(document: Document, start: int, end: int) -> Excerpt:
    """The whole sentences that the range touches."""
    inside = 0 <= start <= end <= len(document.text)
    numbers = document.sentences_between(start, end) if inside else range(0)
    if not numbers:
        raise FeedbackError(f"{document.title!r} has no sentence at {start}:{end}; select one of its text")
    start, end = document.sentences[numbers[0]].start, document.sentences[numbers[-1]].end
    return Excerpt(document.id, start, end, document.text[start:end])


# SQuAD


class Gold(NamedTuple):
    """A question with the excerpt that answers it or, when the document does not, that was nearest."""

    record: FeedbackRecord
    excerpt: Excerpt
    answers: bool


def to_squad(feedback: Iterable[FeedbackRecord], library: Library) -> dict[str, Any]:
    """Feedback as SQuAD 2.0 with `is_impossible`, as `rag.evaluation.load_articles` reads it.

    An article is a whole document, a paragraph of it a block (with the headings before it). "answer_here"
    gives its sentences, "helpful" the first quote, "not_said" an impossible question in the paragraph of what
    was shown first. The last word about a question counts. Left out is what gives no gold: "not_helpful",
    "helpful" leads, and what stands in a document that was removed or is read otherwise by now.
    """
    known = {record.id for record in library.documents()}
    gold: dict[str, list[Gold]] = {}
    for each in _golds(feedback):
        document_id = each.excerpt.document_id
        if document_id in known and each.excerpt.stands_in(library.document(document_id)):
            gold.setdefault(document_id, []).append(each)
    data = [_article(library.document(document_id), asked) for document_id, asked in gold.items()]
    return {"version": "v2.0", "data": data}


def answer_of(record: FeedbackRecord) -> Excerpt | None:
    """What answers the question by this feedback; None when it does not say."""
    if record.verdict == "helpful" and record.answered and record.shown:
        return record.shown[0]
    return record.answer


def _golds(feedback: Iterable[FeedbackRecord]) -> Iterator[Gold]:
    last = {(record.resolved_question, record.documents): record for record in feedback}
    for record in last.values():
        answer = answer_of(record)
        if answer is not None:
            yield Gold(record, answer, True)
        elif record.verdict == "not_said" and record.shown:
            yield Gold(record, record.shown[0], False)


def _article(document: Document, asked: Sequence[Gold]) -> dict[str, Any]:
    paragraphs = [
        {
            "context": document.text[start:end],
            "qas": [_question(gold, start) for gold in asked if start <= gold.excerpt.start < end],
        }
        for start, end in _paragraphs(document)
    ]
    return {"title": one_line(document.title), "paragraphs": paragraphs}


def _paragraphs(document: Document) -> Iterator[tuple[int, int]]:
    """Each block, with the label and the headings before it: nothing but white space lies between two."""
    at = document.sections[0].start
    for block in document.blocks:
        before = document.text[at : block.start]
        yield block.start - len(before.lstrip()), block.end
        at = block.end


def _question(gold: Gold, context_start: int) -> dict[str, Any]:
    answer = {"text": gold.excerpt.text, "answer_start": gold.excerpt.start - context_start}
    return {
        "id": f"feedback-{gold.record.number}",
        "question": gold.record.resolved_question,
        "is_impossible": not gold.answers,
        "answers": [answer] if gold.answers else [],
    }
