"""What bounds a request before anything reads it: how many a minute, how large, and how slow."""

from __future__ import annotations

import asyncio
import math
import time
from http import HTTPStatus

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.problems import problem_response
from ui.settings import Settings

UPLOADS = ("/api/v1/documents", "/page/documents")
"""Paths whose requests may be as large as a document, and as slow."""

HEARD_OUT = 4
"""So many times what is allowed is read of an upload, most of it dropped: who is refused while sending may
never read why. A handler that reads the document says how large that may be."""

CONVERSATION = "/gradio_api/"
CONVERSATION_FACTOR = 16
"""The page sends the conversation along: so many times what another request may hold."""

SLOW_UPLOAD = 10
"""So many times the time of another request an upload may take."""


class RateLimit:
    """Refuses more than `rate` requests a minute of one address with 429 and when to come again."""

    def __init__(self, app: ASGIApp, rate: int) -> None:
        self._app = app
        self._rate = RateLimitItemPerMinute(rate)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and not self._limiter.hit(self._rate, client := _client(scope)):
            reset = self._limiter.get_window_stats(self._rate, client).reset_time
            wait = {"Retry-After": str(max(1, math.ceil(reset - time.time())))}
            line = f"More than {self._rate.amount} requests a minute; come again later."
            app = problem_response(HTTPException(HTTPStatus.TOO_MANY_REQUESTS, line, wait))
        await app(scope, receive, send)


def _client(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else "unknown"


class BodyLimit:
    """Bounds a request's body in size and in the time that it takes to come."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        largest, seconds = self._bounds(scope["method"], scope["path"])
        if _announced(Headers(scope=scope)) > largest:
            await problem_response(_too_large(largest))(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, largest, seconds), send)

    def _bounds(self, method: str, path: str) -> tuple[int, float]:
        """Bytes and seconds."""
        settings = self._settings
        if method == "POST" and path.rstrip("/") in UPLOADS:
            return HEARD_OUT * settings.max_document_mb * 2**20, settings.request_seconds * SLOW_UPLOAD
        factor = CONVERSATION_FACTOR if path.startswith(CONVERSATION) else 1
        return factor * settings.max_request_kb * 2**10, settings.request_seconds


def _announced(headers: Headers) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _too_large(largest: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The request has more than {largest:,} bytes; send less at once.",
    )


def _bounded(receive: Receive, largest: int, seconds: float) -> Receive:
    """The same messages; raises HTTPException when the body gets too large, or does not come in time."""
    deadline = time.monotonic() + seconds
    received, complete = 0, False

    async def bounded() -> Message:
        nonlocal received, complete
        if complete:
            return await receive()  # what comes now is that the client has gone
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                HTTPStatus.REQUEST_TIMEOUT, f"The request did not come within {seconds:.0f} seconds."
            ) from None
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if received > largest:
            raise _too_large(largest)
        return message

    return bounded
