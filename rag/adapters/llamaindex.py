"""Quoth as a LlamaIndex retriever."""

from __future__ import annotations

import asyncio

from rag.adapters import Piece, find, needing
from rag.engine import Engine

with needing("llamaindex"):
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode


class QuothRetriever(BaseRetriever):
    """The passages nearest to a query, or with `quotes=True` the quotes that answer it, if any do.

    `documents` are ids (None: all of the library); `limit` is the number of passages, 1 to 100.
    """

    def __init__(
        self, engine: Engine, *, documents: list[str] | None = None, limit: int = 10, quotes: bool = False
    ) -> None:
        super().__init__()
        self._engine = engine
        self._documents = documents
        self._limit = limit
        self._quotes = quotes

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        pieces = find(self._engine, query_bundle.query_str, self._documents, self._limit, self._quotes)
        return [NodeWithScore(node=_node(piece), score=piece.score) for piece in pieces]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _node(piece: Piece) -> TextNode:
    return TextNode(
        id_=piece.id,
        text=piece.text,
        metadata=piece.metadata,
        start_char_idx=piece.metadata["start"],
        end_char_idx=piece.metadata["end"],
    )
