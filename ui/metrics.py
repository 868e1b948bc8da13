"""What a monitoring system reads from `/metrics`, in the form of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.responses import Response

from rag import Answer

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._questions = Counter(
            "quoth_questions",
            "Questions answered, by the answer's status.",
            ["status"],
            registry=self._registry,
        )
        self._stages = Histogram(
            "quoth_stage_seconds",
            "Time of a question's stages.",
            ["stage"],
            registry=self._registry,
            buckets=SECONDS,
        )
        self._requests = Histogram(
            "quoth_request_seconds",
            "Time of requests, by method, route and status.",
            ["method", "route", "status"],
            registry=self._registry,
            buckets=SECONDS,
        )

    def answered(self, answer: Answer) -> None:
        """Count an answer."""
        self._questions.labels(answer.status).inc()

    def stage(self, stage: str, seconds: float) -> None:
        """Count a stage of a question."""
        self._stages.labels(stage).observe(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a number as it is when it is asked for."""
        Gauge(name, description, registry=self._registry).set_function(read)

    def response(self) -> Response:
        """All of them."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)
