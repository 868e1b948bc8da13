"""Asking and searching."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter

from index.errors import QuestionError
from rag import Answer, Quote, Turn
from rag.answer import Chance, Question, whole
from rag.async_engine import StageDone
from rag.engine import MAX_LIMIT
from rag.retrieval import Found
from ui.api.body import PREFIX, Body, unless_gone
from ui.problems import Problem, problem_of
from ui.service import Service
from ui.settings import Settings

RADAR = "Why did Tesla remove radar and lidar?"


class AskRequest(Body):
    """A question; `documents` are ids (all documents when left out), `history` the turns before it, `strict`
    how sure the answer has to be, 0 to 1 (the server's setting when left out)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": RADAR}]})

    question: Question
    documents: tuple[str, ...] | None = None
    history: tuple[Turn, ...] = ()
    strict: Chance | None = None


class BatchRequest(Body):
    """Questions that have nothing to do with each other."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"questions": [{"question": RADAR}, {"question": "Who is the host?"}]}]
        }
    )

    questions: tuple[AskRequest, ...]


@dataclass(frozen=True, slots=True)
class BatchItem:
    """What became of one question: its answer, or why there is none."""

    answer: Answer | None = None
    problem: Problem | None = None


class SearchRequest(Body):
    """What to look for; `documents` are ids (all documents when left out)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"question": "radar and lidar", "limit": 3}]})

    question: Question
    documents: tuple[str, ...] | None = None
    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_LIMIT), BeforeValidator(whole)] = 10


STREAM_EVENTS = """
Server-sent events, `data` is JSON: `stage` (`{"stage", "seconds"}`) when a stage is over, then `quote` for
each quote or lead as it was decided, at last `answer`: the object that `POST /api/v1/ask` returns; or
`error`, a problem.
"""

_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["stage", "quote", "answer", "error"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}

_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {"description": STREAM_EVENTS, "content": {"text/event-stream": {"schema": _EVENT}}}
}


def create_asking_router(service: Service) -> APIRouter:
    """`/ask`, `/ask/stream`, `/ask/batch`, `/search`."""
    router = APIRouter(prefix=PREFIX, tags=["ask"])
    engine, settings = service.engine, service.settings

    @router.post("/ask")
    async def ask(request: Request, body: AskRequest) -> Answer:
        """Ask a question."""
        return await unless_gone(request, answer(body))

    @router.post("/ask/stream", response_class=StreamingResponse, responses=_STREAMED)
    async def ask_streaming(request: Request, body: AskRequest) -> StreamingResponse:
        """Ask a question, and be told how it goes. Who hangs up ends the work."""
        check_bounds(body, settings)
        steps = engine.stream(body.question, body.documents, body.history, strict=body.strict)
        first = await unless_gone(request, anext(steps))
        return StreamingResponse(_events(first, steps), media_type="text/event-stream")

    @router.post("/ask/batch")
    async def ask_batch(request: Request, body: BatchRequest) -> list[BatchItem]:
        """Ask several questions, one after the other; each gets its answer or its problem, in their order."""
        if len(body.questions) > settings.max_batch:
            raise QuestionError(
                f"there are {len(body.questions)} questions and the limit is {settings.max_batch}; send fewer"
            )
        return [await unless_gone(request, item(question)) for question in body.questions]

    @router.post("/search")
    async def search(request: Request, body: SearchRequest) -> list[Found]:
        """The passages nearest to a question, best first. None of them claims to answer it."""
        check_documents(body.documents, settings)
        hits = await unless_gone(request, engine.search(body.question, body.documents, limit=body.limit))
        return [Found.of(hit) for hit in hits]

    async def answer(body: AskRequest) -> Answer:
        check_bounds(body, settings)
        return await engine.ask(body.question, body.documents, body.history, strict=body.strict)

    async def item(body: AskRequest) -> BatchItem:
        try:
            return BatchItem(answer=await answer(body))
        except Exception as error:
            return BatchItem(problem=problem_of(error))

    return router


def check_bounds(body: AskRequest, settings: Settings) -> None:
    """Raise QuestionError when the question comes with more than the server takes."""
    check_documents(body.documents, settings)
    if len(body.history) > settings.max_history:
        raise QuestionError(
            f"the history has {len(body.history)} turns and the limit is {settings.max_history}; send fewer"
        )


def check_documents(documents: tuple[str, ...] | None, settings: Settings) -> None:
    """Raise QuestionError when it names more than the server takes."""
    if documents is not None and len(documents) > settings.max_documents:
        raise QuestionError(
            f"the question names {len(documents)} documents and the limit is {settings.max_documents}; leave "
            f"them out to ask all"
        )


async def _events(
    first: StageDone | Quote | Answer, steps: AsyncGenerator[StageDone | Quote | Answer]
) -> AsyncIterator[bytes]:
    async with aclosing(steps):
        try:
            yield _event(first)
            async for step in steps:
                yield _event(step)
        except Exception as error:
            problem = problem_of(error)
            yield format_sse_event(data_str=problem.model_dump_json(), event="error")


_NAMES: dict[type[object], str] = {StageDone: "stage", Quote: "quote", Answer: "answer"}


def _event(step: StageDone | Quote | Answer) -> bytes:
    data = TypeAdapter(type(step)).dump_json(step).decode()
    return format_sse_event(data_str=data, event=_NAMES[type(step)])
