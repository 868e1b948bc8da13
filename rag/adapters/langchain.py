"""Quoth as a LangChain retriever."""

from __future__ import annotations

from rag.adapters import find, needing
from rag.engine import Engine

with needing("langchain"):
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever


class QuothRetriever(BaseRetriever):
    """The passages nearest to a query, or with `quotes=True` the quotes that answer it, if any do."""

    engine: Engine
    documents: list[str] | None = None  # ids; None: all of the library
    limit: int = 10  # passages, 1 to 100
    quotes: bool = False

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        pieces = find(self.engine, query, self.documents, self.limit, self.quotes)
        return [Document(piece.text, id=piece.id, metadata=piece.metadata) for piece in pieces]
