"""The page's documents: which ones are asked, and the routes by which they are added, renamed and removed.

A file is added by one request, which answers with a line of JSON for every step. Who hangs up cancels it.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

from anyio.to_thread import run_sync as in_thread
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from index import DocumentRecord, Library
from index.document import one_line
from index.errors import DocumentNotFoundError, QuestionError
from index.language import foreign_line, language_of
from index.library import RemovedDocument, content_id
from ui.errors import error_line
from ui.jobs import AddProgress
from ui.uploads import spooled

ALL = "*"
"""In a choice: every document of the library, also what is added later."""

PROGRESS_SECONDS = 0.2
UNDO_SECONDS = 300.0
STAGES = {"read": "Reading", "embed": "Indexing", "store": "Saving"}

Json = dict[str, Any]


class NewTitle(BaseModel):
    """What a document shall be called."""

    title: str


def settled(choice: object, ids: Sequence[str]) -> tuple[str | None, str]:
    """The document to open, and the choice without what is not in the library (any more).

    A choice is the ids of the documents that are asked, with commas, the open one first; or with ALL. One
    that names no document is the library's first.
    """
    named = choice.split(",") if isinstance(choice, str) else []
    known = [each for each in dict.fromkeys(named) if each in ids] or list(ids[:1])
    chosen = [*known[:1], ALL] if ALL in named or not known else known
    return next(iter(known), None), ",".join(chosen)


def asked(choice: object) -> list[str] | None:
    """The documents that a choice asks; None for all. Raises QuestionError when it asks none."""
    if not isinstance(choice, str) or not choice:
        raise QuestionError("no document is chosen; choose one to ask")
    ids = choice.split(",")
    return None if ALL in ids else ids


def missing(choice: str, ids: Sequence[str]) -> bool:
    """Whether a choice names a document that is not there."""
    return any(each not in (*ids, ALL) for each in choice.split(","))


def listed(records: Sequence[DocumentRecord]) -> list[Json]:
    """The documents as the page lists them."""
    return [
        {
            "id": record.id,
            "title": one_line(record.title),
            "name": one_line(record.name),
            "sentences": record.n_sentences,
        }
        for record in records
    ]


def create_documents_api(library: Library) -> FastAPI:
    """The routes of the page's panel. Not an interface for programs: that is `/api/v1`."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    handlers = DocumentHandlers(library)

    @api.get("/documents")
    def documents() -> list[Json]:
        return listed(library.documents())

    @api.post("/documents")
    async def add(request: Request, name: str, title: str = "") -> Response:
        try:
            with await spooled(name, request.stream(), library.max_document_bytes) as upload:
                content = await in_thread(upload.read)
        except ClientDisconnect:
            return Response()
        lines = (json.dumps(step) + "\n" async for step in handlers.add(content, name, title))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    @api.patch("/documents/{document_id}")
    def rename(document_id: str, new: NewTitle) -> None:
        library.rename(document_id, new.title)

    @api.delete("/documents/{document_id}")
    async def remove(document_id: str) -> Json:
        return {"undo": await handlers.remove(document_id)}

    @api.post("/removed/{token}")
    async def put_back(token: str) -> None:
        await handlers.put_back(token)

    return api


class DocumentHandlers:
    """Adding that can be watched and cancelled, and removing that can be undone for a while."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._removed: dict[str, RemovedDocument] = {}

    async def add(self, content: bytes, name: str, title: str = "") -> AsyncIterator[Json]:
        """Steps, and in the end `added` or `error`. Closed before that, it leaves the library as it was."""
        progress = AddProgress()
        adding = asyncio.create_task(in_thread(self._add, content, name, title, progress))
        try:
            while not adding.done():
                yield _step(progress)
                await asyncio.wait([adding], timeout=PROGRESS_SECONDS)
            yield adding.result()
        finally:
            progress.cancel()

    def _add(self, content: bytes, name: str, title: str, progress: AddProgress) -> Json:
        document_id = content_id(content)
        known = self._holds(document_id)
        try:
            document = self._library.add(content, name=name, progress=progress)
            if title.strip() and not known:
                self._library.rename(document_id, title)
            progress.check()
            return {
                "added": document_id,
                "title": one_line(self._library.document(document_id).title),
                "known": known,
                "notice": foreign_line(one_line(name), language_of(document), self._library.embedder),
            }
        except Exception as error:
            if not known:
                with suppress(DocumentNotFoundError):
                    self._library.remove(document_id)
            return {"error": error_line(error, one_line(name))}

    def _holds(self, document_id: str) -> bool:
        try:
            self._library.require(document_id)
        except DocumentNotFoundError:
            return False
        return True

    async def remove(self, document_id: str) -> str:
        """Remove a document; what it gives undoes that for UNDO_SECONDS. Raises DocumentNotFoundError."""
        removed = await in_thread(self._library.remove, document_id)
        token = uuid.uuid4().hex
        self._removed[token] = removed
        asyncio.get_running_loop().call_later(UNDO_SECONDS, self._removed.pop, token, None)
        return token

    async def put_back(self, token: str) -> None:
        """Undo a removal. Raises DocumentNotFoundError when it is too late."""
        if token not in self._removed:
            raise DocumentNotFoundError("it is too late to undo this; add the file again")
        await in_thread(self._library.put_back, self._removed[token])
        self._removed.pop(token, None)


def _step(progress: AddProgress) -> Json:
    """How far it is, as the page says it."""
    return {"stage": STAGES.get(progress.stage, progress.stage), "percent": progress.percent}
