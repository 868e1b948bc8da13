"""The REST interface, version 1: one OpenAPI document, and a page of it that loads nothing from elsewhere."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from ui.api.asking import create_asking_router
from ui.api.documents import create_documents_router
from ui.api.records import create_records_router
from ui.api.state import create_state_router
from ui.problems import DOCUMENTED, with_problems
from ui.service import Service

PATHS = ("/api/", "/healthz", "/readyz", "/metrics")
"""What this application answers, by the beginning of the path."""

DESCRIPTION = """
Ask documents, and get their own words back: exact quotes with their offsets, or that they do not say.

Offsets count characters (Unicode code points) of a document's text: `text[start:end]` is the quote.
Every error is problem details (RFC 9457). Where the server has a token, send `Authorization: Bearer TOKEN`.
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
    ):
        api.include_router(router)
    return with_problems(api)
