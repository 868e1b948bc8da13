"""Quotes of a record against the library: whether each still stands where it says, letter by letter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from index import Document, DocumentRecord, Library
from index.analysis import words
from index.document import nearest_occurrence
from rag.record import CitedQuote, Record

Verdict = Literal["right", "moved", "changed", "missing"]
Kind = Literal["quote", "lead"]

VERDICTS: tuple[Verdict, ...] = ("right", "moved", "changed", "missing")


@dataclass(frozen=True, slots=True)
class Location:
    """A piece of a document of the library: `document.text[start:end] == text`."""

    document_id: str
    title: str
    section: tuple[str, ...]  # headings, outermost first
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one quote.

    verdict: "right" (it stands where it says), "moved" (the very text stands elsewhere, in its document or in
    one of the same title or file name), "changed" (that document says it no longer; `now` is the sentence
    most like it, None when none shares a word), "missing" (the library has no such document).
    """

    turn: int  # from 1
    kind: Kind
    quote: CitedQuote
    verdict: Verdict
    now: Location | None


def verify(record: Record, library: Library) -> tuple[Check, ...]:
    """A check of every quote and lead, in the record's order. Raises LibraryError."""
    known = library.documents()
    return tuple(
        Check(turn, kind, quote, *_verdict(quote, library, known)) for turn, kind, quote in _quotes(record)
    )


def _quotes(record: Record) -> Iterator[tuple[int, Kind, CitedQuote]]:
    for number, answer in enumerate(record.turns, start=1):
        yield from ((number, "quote", quote) for quote in answer.quotes)
        yield from ((number, "lead", lead) for lead in answer.leads)


def _verdict(
    quote: CitedQuote, library: Library, known: Sequence[DocumentRecord]
) -> tuple[Verdict, Location | None]:
    documents = [library.document(record.id) for record in _sources(quote, known)]
    if not documents:
        return "missing", None
    for document in documents:
        start = nearest_occurrence(document.text, quote.text, quote.start)
        if start is not None:
            found = _location(document, start, start + len(quote.text))
            stays = (found.document_id, found.start, found.end) == (quote.document_id, quote.start, quote.end)
            return "right" if stays else "moved", found
    return "changed", _most_alike(quote, documents)


def _sources(quote: CitedQuote, known: Sequence[DocumentRecord]) -> list[DocumentRecord]:
    """The quote's document; when it is gone, those of its title or file name, the newest first."""
    same = [record for record in known if record.id == quote.document_id]
    return same or [record for record in reversed(known) if _is_called(record, quote)]


def _is_called(record: DocumentRecord, quote: CitedQuote) -> bool:
    return not {quote.title, quote.name}.isdisjoint({record.title, record.name})


def _most_alike(quote: CitedQuote, documents: Sequence[Document]) -> Location | None:
    """The sentence that shares most words with the quote, of several the nearest to where that stood."""
    rated = (
        (_likeness(quote.text, document.text[start:end]), -abs(start - quote.start), document, (start, end))
        for document in documents
        for start, end in ((sentence.start, sentence.end) for sentence in document.sentences)
    )
    likeness, _, document, span = max(rated, key=lambda each: each[:2])
    return _location(document, *span) if likeness else None


def _likeness(one: str, other: str) -> float:
    """Dice's coefficient of the two sets of words (Dice 1945), 0 to 1."""
    ours, theirs = _words(one), _words(other)
    return 2 * len(ours & theirs) / max(len(ours) + len(theirs), 1)


@lru_cache(maxsize=20_000)
def _words(text: str) -> frozenset[str]:
    return frozenset(words(text))


def _location(document: Document, start: int, end: int) -> Location:
    section = document.section_of(max(document.sentence_index(start), 0))
    return Location(document.id, document.title, section.path, start, end, document.text[start:end])
