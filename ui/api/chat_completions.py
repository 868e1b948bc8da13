"""The OpenAI-compatible door: a chat client asks the model `quoth`, or `quoth/<document id>`, like any other.

The answer's text is quotes with markers and the list of their sources; the answer itself rides along in the
message's field `quoth`. Earlier messages are the conversation. What steers a language model (system messages,
temperature, tools, max_tokens, stop, response_format, …) is accepted and has no effect.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Annotated, Any, Literal, NoReturn

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from fastapi.sse import format_sse_event
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from index import DocumentRecord, Library
from index.document import one_line
from index.errors import QuestionError
from rag.answer import Answer, Turn
from rag.conversation import MAX_TURNS
from rag.record import CitedAnswer, cited, sources
from ui.answer_text import paragraphs, restored
from ui.api.body import unless_gone
from ui.problems import RETRY_AFTER_SECONDS, problem_of
from ui.service import Service

log = logging.getLogger(__name__)

MODEL = "quoth"
MAX_MESSAGES = 2_000
FILLING_SECONDS = 60.0


class ContentPart(BaseModel):
    """A piece of a message."""

    type: str = Field(examples=["text"])
    text: str = ""


class Message(BaseModel):
    """One message of the conversation. Those of other roles than user and assistant have no effect."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def parts(self) -> list[ContentPart]:
        if isinstance(self.content, str):
            return [ContentPart(type="text", text=self.content)]
        return self.content or []

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.type == "text")


class StreamOptions(BaseModel):
    """What a stream holds besides the answer."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A question, the last message, after the conversation so far. Other parameters have no effect."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": MODEL,
                    "messages": [{"role": "user", "content": "Why did Tesla remove radar and lidar?"}],
                }
            ]
        }
    )

    model: str = Field(description="`quoth` asks all documents, `quoth/<document id>` one.")
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = Field(None, description="There is one answer.")


class AnswerMessage(BaseModel):
    """The answer: as text, and as it is."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    quoth: CitedAnswer


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class Usage(BaseModel):
    """Tokens: none, for no language model is at work."""

    prompt_tokens: Literal[0] = 0
    completion_tokens: Literal[0] = 0
    total_tokens: Literal[0] = 0


class _Stamped(BaseModel):
    """What a completion and every chunk of one say of themselves."""

    id: str = Field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = Field(default_factory=lambda: int(time.time()))  # Unix time
    model: str


class ChatCompletion(_Stamped):
    """The answer to the last message."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: tuple[Choice]
    usage: Usage = Usage()


def _is_none(value: object) -> bool:
    return value is None


class Delta(BaseModel):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | None = Field(default=None, exclude_if=_is_none)
    content: str | None = Field(default=None, exclude_if=_is_none)
    quoth: CitedAnswer | None = Field(default=None, exclude_if=_is_none)


class ChunkChoice(BaseModel):
    """The one answer, going on."""

    index: Literal[0] = 0
    delta: Delta
    logprobs: None = None
    finish_reason: Literal["stop"] | None = None


class ChatCompletionChunk(_Stamped):
    """A piece of a streamed answer."""

    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    choices: tuple[ChunkChoice, ...]
    usage: Usage | None = Field(default=None, exclude_if=_is_none)


class Model(BaseModel):
    """A model is what is asked: `quoth` all documents, `quoth/<document id>` one of them."""

    id: str = Field(examples=["quoth", "quoth/3f2a9c0d1e2f3a4b"])
    object: Literal["model"] = "model"
    created: int  # Unix time; 0 where there is none
    owned_by: Literal["quoth"] = "quoth"
    name: str  # for a person to choose by


class ModelList(BaseModel):
    """All documents, then each."""

    object: Literal["list"] = "list"
    data: list[Model]


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str = Field(examples=["invalid_request_error", "server_error"])
    param: None = None
    code: str | None = Field(examples=["model_not_found", None])


class ErrorObject(BaseModel):
    """An error as OpenAI clients read it."""

    error: ErrorDetail


class _Route(APIRoute):
    """Answers an error with an error object, and nobody when the client has gone."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answering_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except ClientDisconnect:
                return Response()
            except Exception as error:
                return error_response(error)

        return answering_errors


def create_chat_router(service: Service) -> APIRouter:
    """The routes under /v1."""
    router = APIRouter(
        prefix="/v1",
        route_class=_Route,
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
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
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


def error_response(error: Exception) -> Response:
    """Any error as an error object; what cannot be used is a 400, as clients expect."""
    problem = problem_of(error)
    status = HTTPStatus(problem.status)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("a chat client met an unexpected error", exc_info=error)
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    code = "model_not_found" if status == HTTPStatus.NOT_FOUND else None
    content = ErrorObject(error=ErrorDetail(message=problem.detail, type=kind, code=code))
    busy = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse(content.model_dump(), status, busy)


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
