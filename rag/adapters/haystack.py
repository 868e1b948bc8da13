"""Quoth as a Haystack component."""

from __future__ import annotations

import os
from typing import Any, Self

from index import Library
from rag.adapters import find, needing
from rag.engine import Engine

with needing("haystack"):
    from haystack import Document, component, default_to_dict
    from haystack.telemetry import _telemetry

if "HAYSTACK_TELEMETRY_ENABLED" not in os.environ:  # it was on by default, and may be imported already
    _telemetry.telemetry = None


@component
class QuothRetriever:
    """The passages nearest to a query, or with `quotes=True` the quotes that answer it, if any do.

    `documents` are ids (None: all of the library); `limit` is the number of passages, 1 to 100.
    """

    def __init__(
        self, engine: Engine, *, documents: list[str] | None = None, limit: int = 10, quotes: bool = False
    ) -> None:
        self._engine = engine
        self._options: dict[str, Any] = {"documents": documents, "limit": limit, "quotes": quotes}

    def close(self) -> None:
        """Close the library, as Haystack's retrievers close their stores."""
        self._engine.library.close()

    @component.output_types(documents=list[Document])
    def run(self, query: str) -> dict[str, list[Document]]:
        """The pieces found for the query, best first."""
        pieces = find(self._engine, query, **self._options)
        documents = [
            Document(piece.id, piece.text, meta=piece.metadata, score=piece.score) for piece in pieces
        ]
        return {"documents": documents}

    def to_dict(self) -> dict[str, Any]:
        """The library's folder, how strict the engine is, and the options. No reader of one's own."""
        engine = {"library": str(self._engine.library.folder.absolute()), "strict": self._engine.strict}
        values: dict[str, Any] = default_to_dict(self, **engine, **self._options)
        return values

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """A retriever with an engine of its own on the same folder, embedding with the bundled model."""
        parameters = dict(data["init_parameters"])
        library = Library.open(parameters.pop("library"))
        return cls(Engine(library, strict=parameters.pop("strict")), **parameters)
