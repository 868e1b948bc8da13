"""The OpenAI-compatible door: a chat client asks the model `quoth`, or `quoth/<document id>`, like any other.

The answer's text is quotes with markers and the list of their sources; the answer itself rides along in the
message's field `quoth`. Earlier messages are the conversation. What steers a language model (system messages,
temperature, tools, max_tokens, stop, response_format, …) is accepted and has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Any, NoReturn

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from fastapi.sse import format_sse_event
from starlette.exceptions import HTTPException

from index import DocumentRecord, Library
from index.document import one_line
from index.errors import QuestionError
from rag.answer import Answer, Turn
from rag.conversation import MAX_TURNS
from rag.record import CitedAnswer, cited, sources
from ui.answer_text import paragraphs, restored
from ui.api.body import unless_gone
from ui.api.openai_format import (
    MODEL,
    AnswerMessage,
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Choice,
    ChunkChoice,
    Delta,
    ErrorObject,
    Message,
    Model,
    ModelList,
    Usage,
)
from ui.service import Service

PREFIX = "/v1"
FILLING_SECONDS = 60.0

_EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}

_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer; streamed, the `data` of each event is a chunk of it, at last `[DONE]`.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}


def create_chat_router(service: Service) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(
        prefix=PREFIX,
        tags=["OpenAI"],
        responses={"default": {"model": ErrorObject, "description": "Any error."}},
    )

    @router.get("/models")
    async def list_models() -> ModelList:
        """What can be asked."""
        return ModelList(data=await _models(service))

    @router.get("/models/{name:path}")
    async def get_model(name: str) -> Model:
        """One of the models."""
        found = (model for model in await _models(service) if model.id == name)
        return next(found, None) or _no_model(name)

    @router.post(
        "/chat/completions",
        response_model=ChatCompletion,
        responses=_STREAMED,
    )
    async def create_completion(body: ChatRequest, request: Request) -> ChatCompletion | Response:
        """Ask; with `stream`, the answer comes in pieces, once it is decided."""
        answer, text = await unless_gone(request, _answer(service, body))
        if not body.stream:
            return _completion(body, answer, text)
        events = (format_sse_event(data_str=data) for data in _stream(body, answer, text))
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
        )

    return router


async def _models(service: Service) -> list[Model]:
    await service.startup.filled(FILLING_SECONDS)
    records = await in_thread(service.library.documents)
    return [Model(id=MODEL, created=0, name="Quoth: all documents"), *map(_model, records)]


def _model(record: DocumentRecord) -> Model:
    added = int(datetime.fromisoformat(record.added).timestamp())
    return Model(id=f"{MODEL}/{record.id}", created=added, name=f"Quoth: {one_line(record.title)}")


def _no_model(name: str) -> NoReturn:
    raise HTTPException(HTTPStatus.NOT_FOUND, f"there is no model {name!r}; GET /v1/models lists them")


async def _answer(service: Service, body: ChatRequest) -> tuple[CitedAnswer, list[str]]:
    """The answer to the last message, and its text in pieces."""
    documents = _documents(body.model)
    earlier, question = _conversation(body.messages)
    history = await in_thread(_turns, earlier, service)
    answer = await service.engine.ask(question, documents, history)
    return await in_thread(_written, answer, service.library)


def _documents(model: str) -> list[str] | None:
    name, slash, document_id = model.partition("/")
    if name != MODEL or (slash and not document_id):
        _no_model(model)
    return [document_id] if document_id else None


def _conversation(messages: Sequence[Message]) -> tuple[list[tuple[str, str]], str]:
    """The earlier questions, oldest first, each with the text that answered it or "", and the question."""
    said = [message for message in messages if message.role in ("user", "assistant")]
    if not said or said[-1].role != "user":
        raise QuestionError("the last message is not the user's; end with the question")
    if unread := next((part.type for part in said[-1].parts if part.type != "text"), None):
        raise QuestionError(f"the question holds a part of type {unread!r}; Quoth reads text alone")
    earlier = [
        (message.text, after.text if after.role == "assistant" else "")
        for message, after in pairwise(said)
        if message.role == "user"
    ]
    return earlier, said[-1].text


def _turns(said: Sequence[tuple[str, str]], service: Service) -> list[Turn]:
    """The last turns, without a question that was refused in its time: it would be so for ever."""
    most = service.settings.max_question_chars
    asked = [(question, text) for question, text in said if question.strip() and len(question) <= most]
    return [
        Turn(question, restored(question, text, service.library)) for question, text in asked[-MAX_TURNS:]
    ]


def _written(answer: Answer, library: Library) -> tuple[CitedAnswer, list[str]]:
    documents = sources(answer, library)
    return cited(answer, documents), list(paragraphs(answer, documents))


def _completion(body: ChatRequest, answer: CitedAnswer, text: Sequence[str]) -> ChatCompletion:
    message = AnswerMessage(content="\n\n".join(text), quoth=answer)
    return ChatCompletion(model=body.model, choices=(Choice(message=message),))


def _stream(body: ChatRequest, answer: CitedAnswer, text: Sequence[str]) -> Iterator[str]:
    """The data of every event: the role, the text piece by piece, the answer, the end, and [DONE]."""
    first = ChatCompletionChunk(
        model=body.model, choices=(ChunkChoice(delta=Delta(role="assistant", content="")),)
    )

    def chunk(*choices: ChunkChoice, usage: Usage | None = None) -> str:
        return first.model_copy(update={"choices": choices, "usage": usage}).model_dump_json()

    yield first.model_dump_json()
    for number, piece in enumerate(text):
        yield chunk(ChunkChoice(delta=Delta(content=f"\n\n{piece}" if number else piece)))
    yield chunk(ChunkChoice(delta=Delta(quoth=answer)))
    yield chunk(ChunkChoice(delta=Delta(), finish_reason="stop"))
    if body.stream_options and body.stream_options.include_usage:
        yield chunk(usage=Usage())
    yield "[DONE]"
