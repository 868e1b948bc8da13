"""The web application: the page at its root, the REST routes and the health check beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from index import Library, QuothError
from rag import Engine
from ui.api import PATHS, create_api
from ui.api.error_objects import ErrorObjects
from ui.documents import create_documents_api
from ui.guard import Access, Guard, SecurityHeaders
from ui.limits import BodyLimit, RateLimit
from ui.observation import Observed, log_as
from ui.presence import announced
from ui.problems import with_problems
from ui.service import Service
from ui.settings import Settings, open_engine, open_library

log = logging.getLogger(__name__)

STOP_SECONDS = 2
HEADER_SECONDS = 10
UNREAD_SECONDS = 60
"""That a client may leave unread what was sent to it, where the system (Linux) can tell."""
BACKLOG = 128

UNDOCUMENTED: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
"""FastAPI's own documentation pages load their scripts from elsewhere."""


class PortInUseError(QuothError):
    """Another program listens on the address already."""


def create_app(library: Library, engine: Engine, settings: Settings) -> FastAPI:
    """The application: the page, and beside it the doors for programs. Its start loads the library's content
    and the models in the background.

    Not to be called where an event loop is running. Raises SettingsError when the settings open it to others
    without a token.
    """
    from ui.chat import mount_page  # importing Gradio takes seconds: not before somebody serves
    from ui.mcp_server import mcp_asgi

    service = Service.of(library, engine, settings)
    mcp, serving_mcp = mcp_asgi(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.startup.start()
        async with serving_mcp():
            yield

    app = FastAPI(lifespan=lifespan, **UNDOCUMENTED)
    app.state.service = service
    _guard(app, service, {**dict.fromkeys(PATHS, create_api(service)), "/mcp": mcp})

    async def mount_it() -> None:  # where no event loop runs, Gradio makes some and never closes them
        mount_page(app, service)

    app.mount("/page", with_problems(create_documents_api(library)))
    asyncio.run(mount_it())
    return app


def _guard(app: FastAPI, service: Service, doors: dict[str, ASGIApp]) -> None:
    """Put in front of the application what a request passes through: each layer before those above it."""
    settings = service.settings
    app.add_middleware(Doors, doors=doors)
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Guard, access=Access.of(settings))
    if settings.origins:
        every = ["*"]
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=every,
            allow_headers=every,
            expose_headers=every,
        )
    if settings.rate:
        app.add_middleware(RateLimit, rate=settings.rate)
    app.add_middleware(ErrorObjects)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observed, metrics=service.metrics)
    app.add_middleware(CorrelationIdMiddleware, validator=None, transformer=_as_request_id)


def _as_request_id(given: str) -> str:
    """What a client calls its request, as far as that is fit for a log line."""
    return "".join(char for char in given[:64] if char.isalnum() or char in "-_.")


class Doors:
    """Sends what programs ask for, by the beginning of its path, to the application that answers it; all else
    goes to the page."""

    def __init__(self, app: ASGIApp, doors: dict[str, ASGIApp]) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            door = next((app for path, app in self._doors.items() if scope["path"].startswith(path)), None)
            if door is not None:
                scope["door"] = True
                await door(scope, receive, send)
                return
        await self._app(scope, receive, send)


def serve(settings: Settings, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    `started` is called with the page's address as soon as the port accepts connections; the first ones wait
    until the application is built. Raises PortInUseError before anything heavy is loaded, and what
    `open_library` raises.
    """
    Access.of(settings)  # refused before anything is opened
    log_as(settings.log_format, debug=settings.debug)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both signals unwind the same way
    with (
        suppress(KeyboardInterrupt),
        listen(settings.host, settings.port) as listener,
        open_library(settings) as library,
    ):
        started(_address(settings.host, listener))
        engine = open_engine(settings, library)
        app = create_app(library, engine, settings)
        try:
            with announced(settings.library, _address(settings.host, listener)):
                create_server(app, settings).run(sockets=[listener])
        finally:
            if not app.state.service.startup.ended(STOP_SECONDS):
                os._exit(0)  # loading sits in native code, under which the interpreter cannot end in order


def create_server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """What runs the application on a socket until its `should_exit` is set."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        log_config=None,  # as `log_as` has set it up
        log_level="warning",
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return _Server(config, app.state.service, settings.drain_seconds)


class _Connection(H11Protocol):
    """Hangs up when the header of a request does not come: uvicorn itself waits for that for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        self._expect_request()
        super().on_response_complete()

    def _expect_request(self) -> None:
        self.loop.call_later(HEADER_SECONDS, self._hang_up_after, self.cycle)

    def _hang_up_after(self, last: RequestResponseCycle | None) -> None:
        if self.cycle is last:
            self.timeout_keep_alive_handler()


class _Server(uvicorn.Server):
    """Stops by finishing what runs, within its time; pages that listen for news do not hold it up."""

    def __init__(self, config: uvicorn.Config, service: Service, drain_seconds: float) -> None:
        super().__init__(config)
        self._service = service
        self._drain_seconds = drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if not await self._service.close(self._drain_seconds):
            log.warning("not all requests were finished within %s seconds", self._drain_seconds)
        asyncio.get_running_loop().call_later(STOP_SECONDS / 2, self._hang_up)
        await super().shutdown(sockets)

    def _hang_up(self) -> None:
        """On who still listens: uvicorn would cancel the work instead, and log that as an error."""
        for connection in self.server_state.connections:
            connection.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """The socket that a server accepts its connections from. Raises PortInUseError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise PortInUseError(
            f"Cannot listen on {host} port {port} ({error.strerror}): choose another with --port."
        ) from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * UNREAD_SECONDS))
    return listener


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"
