"""The REST interface, version 1: one OpenAPI document, and a page of it that loads nothing from elsewhere."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from ui.api.asking import create_asking_router
from ui.api.chat_completions import create_chat_router
from ui.api.documents import create_documents_router
from ui.api.records import create_records_router
from ui.api.state import create_state_router
from ui.problems import DOCUMENTED, problem_response, with_problems
from ui.service import Service

PATHS = ("/api/", "/v1/", "/healthz", "/readyz", "/metrics")
"""What this application answers, by the beginning of the path."""

DESCRIPTION = """
Ask documents, and get their own words back: exact quotes with their offsets, or that they do not say.

Offsets count characters (Unicode code points) of a document's text: `text[start:end]` is the quote.
Every error is problem details (RFC 9457), and under `/v1` an error object as OpenAI has it. Where the server
has a token, send `Authorization: Bearer TOKEN`.
"""


def create_api(service: Service) -> FastAPI:
    """The routes that programs use."""
    api = FastAPIOffline(
        title="Quoth",
        version="1",
        description=DESCRIPTION,
        docs_url="/api/v1/docs",
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        swagger_ui_oauth2_redirect_url="/api/v1/docs/oauth2-redirect",
        static_url="/api/v1/docs/static",
        responses=DOCUMENTED,
    )
    for router in (
        create_asking_router(service),
        create_documents_router(service),
        create_records_router(service),
        create_state_router(service),
        create_chat_router(service),
    ):
        api.include_router(router)
    api.add_exception_handler(HTTPStatus.METHOD_NOT_ALLOWED, _not_allowed)
    return with_problems(api)


async def _not_allowed(request: Request, error: Exception) -> Response:
    """405 with all the methods of the path: each route by itself names only its own."""
    paths = request.app.openapi()["paths"]
    allowed = {
        method.upper()
        for path, methods in paths.items()
        if compile_path(path)[0].match(request.url.path)
        for method in methods
    }
    headers = {"Allow": ", ".join(sorted(allowed))}
    return problem_response(HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers=headers))
