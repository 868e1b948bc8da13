"""The one place that turns an error into a response: problem details (RFC 9457), nothing of the insides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from index import QuothError
from index.errors import (
    DocumentError,
    DocumentNotFoundError,
    DocumentTooLargeError,
    FeedbackError,
    LibraryBusyError,
    LibraryFullError,
    ModelError,
    NotTextError,
    QuestionError,
    RecordError,
    TitleError,
    UnsupportedFormatError,
)
from rag.async_engine import EngineBusyError
from ui.errors import public_line
from ui.jobs import AddingBusyError, JobNotFoundError

RETRY_AFTER_SECONDS = 10
CLIENT_CLOSED_REQUEST = 499
PROBLEM_TYPE = "application/problem+json"

STATUS_OF_ERROR: tuple[tuple[type[QuothError], HTTPStatus], ...] = (
    (QuestionError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TitleError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (RecordError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (FeedbackError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (DocumentNotFoundError, HTTPStatus.NOT_FOUND),
    (JobNotFoundError, HTTPStatus.NOT_FOUND),
    (DocumentTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnsupportedFormatError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (NotTextError, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (DocumentError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (EngineBusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (AddingBusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (LibraryBusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (LibraryFullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (ModelError, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""The first kind that an error is of says its status; any other is 500."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


_PROBLEM_CONTENT = {PROBLEM_TYPE: {"schema": Problem.model_json_schema()}}

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY: {
        "description": "What was sent cannot be used.",
        "content": _PROBLEM_CONTENT,
    },
    "default": {"description": "Any other error.", "content": _PROBLEM_CONTENT},
}
"""The responses that every route may give, for the OpenAPI document."""


def with_problems(api: FastAPI) -> FastAPI:
    """The same application; every error that a route raises becomes problem details."""
    for error in (QuothError, RequestValidationError, HTTPException, Exception):
        api.add_exception_handler(error, _respond)
    api.add_exception_handler(ClientDisconnect, _say_nothing)
    return api


async def _say_nothing(_: Request, error: Exception) -> Response:
    """The client has gone; the status is for the log and the metrics, as other servers have it."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _respond(_: Request, error: Exception) -> Response:
    return problem_response(error)


def problem_response(error: Exception) -> Response:
    """Any error as problem details, with the headers that belong to its status."""
    problem = problem_of(error)
    return JSONResponse(
        problem.model_dump(),
        problem.status,
        _headers_of(error, problem),
        media_type=PROBLEM_TYPE,
    )


def problem_of(error: Exception) -> Problem:
    """What a program is told about an error: of one that Quoth did not raise on purpose, only that it is."""
    status, detail = _status_and_detail(error)
    return Problem(title=status.phrase, status=status, detail=detail)


def _headers_of(error: Exception, problem: Problem) -> Mapping[str, str] | None:
    if isinstance(error, HTTPException) and error.headers:
        return error.headers
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return None


def _status_and_detail(error: Exception) -> tuple[HTTPStatus, str]:
    match error:
        case QuothError():
            kinds = (status for kind, status in STATUS_OF_ERROR if isinstance(error, kind))
            return next(kinds, HTTPStatus.INTERNAL_SERVER_ERROR), public_line(error)
        case RequestValidationError():
            return HTTPStatus.UNPROCESSABLE_ENTITY, _validation_line(error.errors())
        case HTTPException():
            return HTTPStatus(error.status_code), str(error.detail)
    return HTTPStatus.INTERNAL_SERVER_ERROR, public_line(error)


def _validation_line(errors: Sequence[Any]) -> str:
    """What is wrong where, without the value that was sent."""
    return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors)
