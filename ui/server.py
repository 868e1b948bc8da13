"""The web application: the page at its root, the REST routes and the health check beside it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from anyio.to_thread import run_sync as in_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from index import DocumentRecord, Library, QuothError
from index.errors import (
    DocumentError,
    DocumentNotFoundError,
    DocumentTooLargeError,
    LibraryBusyError,
    ModelError,
    NotTextError,
    QuestionError,
    TitleError,
    UnsupportedFormatError,
)
from rag import Answer, Engine, Turn
from ui.documents import create_documents_api
from ui.settings import Settings, open_engine, open_library
from ui.startup import Startup

log = logging.getLogger(__name__)

MODEL_WAIT_SECONDS = 60.0
RETRY_AFTER_SECONDS = 10
STOP_SECONDS = 2
BACKLOG = 128

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
FOREIGN = "Quoth answers only to its own address on this machine."

STATUS_OF_ERROR: tuple[tuple[type[QuothError], HTTPStatus], ...] = (
    (QuestionError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TitleError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DocumentNotFoundError, HTTPStatus.NOT_FOUND),
    (DocumentTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnsupportedFormatError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (NotTextError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (DocumentError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (LibraryBusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ModelError, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""The first kind that an error is of says its status; any other is 500."""

UNDOCUMENTED: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
"""FastAPI's own documentation pages load their scripts from elsewhere."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio's custom components are evaluated
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "object-src 'none'",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class PortInUseError(QuothError):
    """Another program listens on the address already."""


class ModelLoadingError(ModelError):
    """The models were not loaded in the time that a request waits for them."""


class AskRequest(BaseModel):
    """A question; `documents` are ids (all documents when left out), `history` the turns before it, `strict`
    how sure the answer has to be, 0 to 1 (the server's setting when left out)."""

    model_config = ConfigDict(extra="forbid")

    question: str
    documents: tuple[str, ...] | None = None
    history: tuple[Turn, ...] = ()
    strict: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _is_unicode(cls, body: object) -> object:
        """JSON can hold half of a surrogate pair, which no answer could repeat."""
        if isinstance(body, dict):
            json.dumps(body, ensure_ascii=False).encode()  # raises a ValueError
        return body


class Health(BaseModel):
    """That the process lives, and whether it answers questions without waiting."""

    status: str = "ok"
    ready: bool


def create_app(library: Library, engine: Engine, settings: Settings) -> FastAPI:
    """The application. Its start loads the library's content and the models in the background.

    Not to be called where an event loop is running.
    """
    from ui.chat import mount_page  # importing Gradio takes seconds: not before somebody serves

    startup = Startup(library, engine)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        startup.start()
        yield

    app = FastAPI(lifespan=lifespan, **UNDOCUMENTED)
    app.state.startup = startup
    if settings.host in LOOPBACK:
        app.add_middleware(LocalOnly)
    app.add_middleware(SecurityHeaders)

    @app.get("/healthz")
    async def healthz() -> Health:
        return Health(ready=startup.ready)

    async def mount_it() -> None:  # where no event loop runs, Gradio makes some and never closes them
        mount_page(app, library, engine, startup, settings.max_document_mb)

    app.mount("/api/v1", create_api(library, engine, startup))
    app.mount("/page", with_problems(create_documents_api(library)))
    asyncio.run(mount_it())
    return app


def create_api(library: Library, engine: Engine, startup: Startup) -> FastAPI:
    """The REST routes. An application of its own, for the page beside it takes every other path."""
    api = with_problems(FastAPI(**UNDOCUMENTED))

    @api.post("/ask")
    async def ask(body: AskRequest) -> Answer:
        if not await startup.finished(MODEL_WAIT_SECONDS):
            raise ModelLoadingError("The models are still being loaded: ask again in a moment.")
        return await in_thread(answer, body)

    def answer(body: AskRequest) -> Answer:
        engine.load()  # nothing to do, unless the background could not
        return engine.ask(body.question, body.documents, body.history, strict=body.strict)

    @api.get("/documents")
    def documents() -> Sequence[DocumentRecord]:
        return library.documents()

    return api


def with_problems(api: FastAPI) -> FastAPI:
    """The same application; every error that a route raises becomes problem details."""
    for error in (QuothError, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(error, problem_response)
    return api


async def problem_response(_: Request, error: Exception) -> Response:
    return problem(error)


def problem(error: Exception) -> Response:
    """Any error as problem details (RFC 9457): type, title, status, detail, and nothing of the insides."""
    status, detail = _status_and_detail(error)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(content, status.value, headers, media_type="application/problem+json")


def _status_and_detail(error: Exception) -> tuple[HTTPStatus, str]:
    match error:
        case QuothError():
            kinds = (status for kind, status in STATUS_OF_ERROR if isinstance(error, kind))
            return next(kinds, HTTPStatus.INTERNAL_SERVER_ERROR), str(error)
        case RequestValidationError():
            return HTTPStatus.UNPROCESSABLE_ENTITY, _validation_line(error.errors())
        case HTTPException():
            return HTTPStatus(error.status_code), str(error.detail)
    return HTTPStatus.INTERNAL_SERVER_ERROR, "The server met an unexpected error; its log says what."


def _validation_line(errors: Sequence[Any]) -> str:
    """What is wrong where, without the value that was sent."""
    return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors)


class LocalOnly:
    """Refuses what the page of another site can make a browser send here: requests under another host's
    name (DNS rebinding) or from another origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] in ("http", "websocket") and not _is_local(Headers(scope=scope)):
            app = problem(HTTPException(HTTPStatus.FORBIDDEN, FOREIGN))
        await app(scope, receive, send)


def _is_local(headers: Headers) -> bool:
    addresses = [f"//{headers.get('host', '')}", *headers.getlist("origin")]
    try:
        return all(urlsplit(address).hostname in LOOPBACK for address in addresses)
    except ValueError:
        return False


class SecurityHeaders:
    """Adds the headers to every response, streams included (Starlette's own base class would buffer them)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def serve(settings: Settings, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    `started` is called with the page's address as soon as the port accepts connections; the first ones wait
    until the application is built. Raises PortInUseError before anything heavy is loaded, and what
    `open_library` raises.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both signals unwind the same way
    with (
        suppress(KeyboardInterrupt),
        _listen(settings.host, settings.port) as listener,
        open_library(settings) as library,
    ):
        started(_address(settings.host, listener))
        engine = open_engine(settings, library)
        app = create_app(library, engine, settings)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_SECONDS)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            if not app.state.startup.ended(STOP_SECONDS):
                os._exit(0)  # loading sits in native code, under which the interpreter cannot end in order


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise PortInUseError(
            f"Cannot listen on {host} port {port} ({error.strerror}): choose another with --port."
        ) from error


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"
