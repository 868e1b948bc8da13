"""Quoth as the retriever of a framework: one module for each, imported by its own name.

All of them give the same pieces of documents in their framework's type. An error of Quoth stays the error
that it is: no framework is told that nothing was found because something failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from index import Document
from rag.engine import Engine


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage or a quote: `metadata["start"]:metadata["end"]` of the document, letter by letter."""

    id: str  # the same piece has the same one, today and tomorrow
    text: str
    score: float  # of a passage: comparable within one question only; of a quote: 0 to 1
    metadata: dict[str, Any]  # for JSON: document_id, title, section, start, end, place, score


def find(
    engine: Engine, question: str, documents: Sequence[str] | None, limit: int, quotes: bool
) -> list[Piece]:
    """The passages nearest to the question, or the quotes that answer it, best first.

    Passages are the `limit` nearest ones, whether they answer or not. Quotes are those of `Engine.ask`: none
    unless it answers, at most three. Raises what `Engine.search` and `Engine.ask` raise.
    """
    if quotes:
        return [
            _piece(engine.library.document(quote.document_id), quote.start, quote.end, quote.score)
            for quote in engine.ask(question, documents).quotes
        ]
    return [
        _piece(hit.document, hit.stored.passage.start, hit.stored.passage.end, hit.score)
        for hit in engine.search(question, documents, limit=limit)
    ]


def _piece(document: Document, start: int, end: int, score: float) -> Piece:
    metadata = {
        "document_id": document.id,
        "title": document.title,
        "section": list(document.section_of(document.sentence_index(start)).path),  # outermost heading first
        "start": start,
        "end": end,
        "place": document.place_of(start),  # page or time in the source, where it has them
        "score": score,
    }
    return Piece(f"{document.id}:{start}-{end}", document.text[start:end], score, metadata)


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Where a framework is imported: what is missing comes with the extra of this name."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed; run: pip install 'quoth[{extra}]'", name=error.name
        ) from None
