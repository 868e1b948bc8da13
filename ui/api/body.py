"""What every request and response of the interface has in common."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

T = TypeVar("T")

PREFIX = "/api/v1"

IfNoneMatch = Annotated[str | None, Header(description="An ETag; when it still holds, the answer is 304.")]
IfMatch = Annotated[str | None, Header(description="An ETag; when it holds no longer, the answer is 412.")]


class Body(BaseModel):
    """A request's JSON: nothing in it that is not known, and no half characters."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_unicode(cls, body: object) -> object:
        """JSON can hold half of a surrogate pair, which no answer could repeat."""
        if isinstance(body, dict):
            json.dumps(body, ensure_ascii=False).encode()  # raises a ValueError
        return body


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """The work's result. When the client hangs up before that, the work is cancelled; raises
    ClientDisconnect."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        """What is left of the body."""


def etag_of(content: bytes) -> str:
    """A strong validator (RFC 9110) of a response with this content."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def tagged(value: object, kind: Any, if_none_match: str | None) -> Response:
    """A value as JSON with its ETag; 304 without it when the client has it already."""
    return tagged_content(TypeAdapter(kind).dump_json(value), "application/json", if_none_match)


def tagged_content(content: bytes, media_type: str, if_none_match: str | None) -> Response:
    """Content with its ETag; 304 without it when the client has it already."""
    etag = etag_of(content)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def require_match(if_match: str | None, etag: str) -> None:
    """Raise 412 unless the client changes what it believes to change."""
    if if_match is not None and not _matches(if_match, etag):
        raise HTTPException(HTTPStatus.PRECONDITION_FAILED, "It was changed since; read it again.")


def _matches(condition: str, etag: str) -> bool:
    given = [each.strip().removeprefix("W/") for each in condition.split(",")]
    return "*" in given or etag in given


def page_of(items: Sequence[T], limit: int, offset: int, request: Request) -> tuple[list[T], dict[str, str]]:
    """One page of a list, and the headers that say how many there are and where the next is (RFC 8288)."""
    headers = {"X-Total-Count": str(len(items))}
    if offset + limit < len(items):
        following = request.url.include_query_params(limit=limit, offset=offset + limit)
        headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return list(items[offset : offset + limit]), headers
