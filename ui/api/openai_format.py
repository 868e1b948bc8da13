"""What OpenAI clients send and read, as far as it matters here."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from rag.record import CitedAnswer

MODEL = "quoth"
MAX_MESSAGES = 2_000


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

    include_usage: StrictBool = False


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
    stream: StrictBool | None = False
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
    type: Literal["invalid_request_error", "server_error"]
    param: None = None
    code: None = None


class ErrorObject(BaseModel):
    """An error as OpenAI clients read it."""

    error: ErrorDetail
