"""Checking quotes, and what people say about answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field

from index import FeedbackRecord
from index.feedback import MAX_DOCUMENTS, Verdict
from rag import Answer
from rag.answer import Offset
from rag.feedback import give_feedback, to_squad
from rag.record import MAX_TURNS, CitedAnswer, Record, checked
from rag.verification import Check, verify
from ui.api.body import PREFIX, Body, page_of
from ui.api.documents import Limit, Skipped
from ui.service import Service


class VerifyRequest(Body):
    """Answers whose quotes are to be checked: the `turns` of an exported conversation, or answers of
    `POST /api/v1/ask`. The other fields of an export may come along."""

    model_config = ConfigDict(extra="ignore")

    turns: tuple[CitedAnswer, ...] = Field(max_length=MAX_TURNS)


class SelectedText(Body):
    """A piece of a document: the whole sentences that it touches count."""

    document_id: str
    start: Offset
    end: Offset


class FeedbackRequest(Body):
    """What somebody says about an answer to a question that was put to `documents` (all when left out).

    `selected` belongs to the verdict "answer_here".
    """

    answer: Answer
    verdict: Verdict
    documents: tuple[str, ...] = Field((), max_length=MAX_DOCUMENTS)
    selected: SelectedText | None = None


def create_records_router(service: Service) -> APIRouter:
    """`/verify` and `/feedback`."""
    router = APIRouter(prefix=PREFIX)
    library, engine = service.library, service.engine.engine

    @router.post("/verify", tags=["verify"])
    def verify_quotes(body: VerifyRequest) -> list[Check]:
        """Whether each quote still stands where it says: right, moved, changed or missing."""
        return list(verify(checked(Record(1, "", body.turns), "the request"), library))

    @router.post("/feedback", tags=["feedback"], status_code=HTTPStatus.CREATED)
    def give(body: FeedbackRequest) -> FeedbackRecord:
        """Keep what somebody says about an answer."""
        chosen = body.selected
        selected = (chosen.document_id, chosen.start, chosen.end) if chosen else None
        return give_feedback(
            library, engine, body.answer, body.verdict, documents=body.documents, selected=selected
        )

    @router.get("/feedback", tags=["feedback"])
    def list_feedback(
        request: Request, response: Response, limit: Limit = 100, offset: Skipped = 0
    ) -> list[FeedbackRecord]:
        """What was said, oldest first."""
        items, headers = page_of(library.feedback(), limit, offset, request)
        response.headers.update(headers)
        return items

    @router.get("/feedback/squad", tags=["feedback"])
    def export_feedback() -> dict[str, Any]:
        """What was said as SQuAD 2.0, for evaluation and training."""
        return to_squad(library.feedback(), library)

    return router
