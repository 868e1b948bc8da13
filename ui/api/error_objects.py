"""Errors as OpenAI clients read them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.api.chat_completions import PREFIX
from ui.api.openai_format import ErrorDetail, ErrorObject
from ui.problems import PROBLEM_TYPE, Problem


class ErrorObjects:
    """Makes error objects of the problem details that the layers inside it answer to an OpenAI client; what
    cannot be used is a 400, as those expect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem: Message | None = None

        async def send_error_object(message: Message) -> None:
            nonlocal problem
            if message["type"] == "http.response.start" and _is_problem(message):
                problem = message
            elif problem is None:
                await send(message)
            else:
                await _error_response(problem, message["body"])(scope, receive, send)

        is_ours = scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/")
        await self._app(scope, receive, send_error_object if is_ours else send)


def _is_problem(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type") == PROBLEM_TYPE


def _error_response(start: Message, body: bytes) -> Response:
    problem = Problem.model_validate_json(body)
    status = HTTPStatus(problem.status)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    kind: Literal["server_error", "invalid_request_error"] = (
        "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    error = ErrorObject(error=ErrorDetail(message=problem.detail, type=kind))
    headers = MutableHeaders(raw=start["headers"])
    del headers["content-type"], headers["content-length"]
    return JSONResponse(error.model_dump(), status, headers)
