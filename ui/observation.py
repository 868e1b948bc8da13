"""What the server says about its requests: a log line and a measurement of each, an id on every line."""

from __future__ import annotations

import logging
import time
from typing import Literal

from asgi_correlation_id import CorrelationIdFilter
from pythonjsonlogger.json import JsonFormatter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.metrics import Metrics

log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def log_as(form: Literal["text", "json"], *, debug: bool) -> None:
    """Log to the standard error: warnings as text, or everything from a request's line up as JSON.

    Neither holds a question, a document's text or a token; with `debug` there are more lines, which may.
    """
    handler = logging.StreamHandler()
    handler.addFilter(CorrelationIdFilter())
    if form == "json":
        handler.setFormatter(
            JsonFormatter("{asctime}{levelname}{name}{message}{correlation_id}{exc_info}", style="{")
        )
    else:
        handler.setFormatter(_TextFormatter("quoth: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("index", "rag", "ui"):
        level = logging.DEBUG if debug else logging.INFO if form == "json" else logging.WARNING
        logging.getLogger(package).setLevel(level)


class _TextFormatter(logging.Formatter):
    """The request's id at the end of a line that belongs to one."""

    def format(self, record: logging.LogRecord) -> str:
        request = getattr(record, "correlation_id", None)
        return super().format(record) + (f" [request {request}]" if request else "")


class Observed:
    """Logs and measures every request; only its route is told, never what it held."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 499  # as proxies log it: the client went before an answer

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            took = time.perf_counter() - started
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = route_of(scope)
            self._metrics.request(method, route, status, took)
            log.info(
                "request",
                extra={"method": method, "route": route, "status": status, "ms": round(took * 1000, 1)},
            )


def route_of(scope: Scope) -> str:
    """The pattern that the path was matched by; "page" for what the page is made of."""
    return getattr(scope.get("route"), "path_format", "") if scope.get("door") else "page"
