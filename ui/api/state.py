"""How the server is: alive, ready, how busy, and what it is set to."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from ui.service import Service
from ui.startup import ModelLoadingError


class Health(BaseModel):
    """That the process lives, and whether it answers questions without waiting."""

    status: Literal["ok"] = "ok"
    ready: bool


class PublicSettings(BaseModel):
    """What a client may want to know of the server: versions, and the bounds of a request."""

    quoth: str  # version
    model: str  # that embeds
    reader: str  # fingerprint of the reader's weights
    strict: float
    max_question_chars: int
    max_document_mb: int
    max_request_kb: int
    max_documents: int
    max_history: int
    max_batch: int
    max_jobs: int
    request_seconds: float
    queue: int
    rate: int


def create_state_router(service: Service) -> APIRouter:
    """`/healthz`, `/readyz`, `/metrics` and `/api/v1/settings`."""
    router = APIRouter(tags=["state"])

    @router.get("/healthz")
    async def health() -> Health:
        """Whether the process lives."""
        return Health(ready=service.startup.ready)

    @router.get("/readyz")
    async def readiness() -> Health:
        """Whether questions are answered without waiting; 503 until then."""
        if not service.startup.ready:
            raise ModelLoadingError("The models are still being loaded.")
        return Health(ready=True)

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def show_metrics() -> Response:
        """Counts and times, in the form of Prometheus."""
        return service.metrics.response()

    @router.get("/api/v1/settings")
    def show_settings() -> PublicSettings:
        """Versions, and the bounds of a request."""
        shared = set(PublicSettings.model_fields) & set(type(service.settings).model_fields)
        known: dict[str, Any] = {name: getattr(service.settings, name) for name in shared}
        known["model"] = service.library.embedder.name
        return PublicSettings(
            **known, quoth=version("quoth"), reader=service.engine.engine.reader.fingerprint
        )

    return router
