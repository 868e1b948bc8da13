"""The library's documents, and the uploads on their way into it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Annotated, Any

from anyio.to_thread import run_sync as in_thread
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ConfigDict, Field, TypeAdapter
from starlette.datastructures import UploadFile

from index import Document, DocumentRecord, Library
from index.document import one_line
from index.errors import DocumentNotFoundError
from index.library import MAX_TITLE_CHARS, too_large
from ui.api.body import (
    PREFIX,
    Body,
    IfMatch,
    IfNoneMatch,
    etag_of,
    page_of,
    require_match,
    tagged,
    tagged_content,
)
from ui.jobs import Job, State
from ui.problems import Problem, problem_of
from ui.service import Service
from ui.uploads import spooled

MAX_WAIT_SECONDS = 60.0

Limit = Annotated[int, Query(ge=1, le=1_000, description="Most items in one response.")]
Skipped = Annotated[int, Query(ge=0, le=2**31, description="Items to leave out.")]


@dataclass(frozen=True, slots=True)
class OutlineSection:
    """A section of a document: `start:end` is its text, up to the next heading of any level."""

    heading: str
    level: int  # 1 = outermost; 0 for text before the first heading
    path: tuple[str, ...]  # headings, outermost first
    start: int
    end: int
    n_sentences: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """An upload on its way into the library. `document` is there once it is "done", `problem` when it
    "failed"."""

    id: str
    name: str
    state: State
    stage: str  # "read", "embed" or "store"
    percent: int | None  # of the stage, where it is known
    created: str  # ISO 8601, UTC
    is_new: bool  # false when the same content was there already
    document: DocumentRecord | None = None
    problem: Problem | None = None


class NewTitle(Body):
    """What a document shall be called."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Minutes of March"}]})

    title: str = Field(min_length=1, max_length=MAX_TITLE_CHARS)


_UPLOADED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.OK: {"model": JobStatus, "description": "The library held this content already."},
    HTTPStatus.CREATED: {"model": JobStatus, "description": "The document was added."},
    HTTPStatus.ACCEPTED: {
        "model": JobStatus,
        "description": "It is being added; its job tells how far it is.",
    },
}
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
_UNCHANGED: dict[int | str, dict[str, Any]] = {HTTPStatus.NOT_MODIFIED: {"description": "Not changed."}}


def create_documents_router(service: Service) -> APIRouter:
    """`/documents` and `/jobs`."""
    router = APIRouter(prefix=PREFIX)
    library, jobs = service.library, service.jobs

    @router.get("/documents", tags=["documents"], response_model=list[DocumentRecord], responses=_UNCHANGED)
    def list_documents(
        request: Request, limit: Limit = 100, offset: Skipped = 0, if_none_match: IfNoneMatch = None
    ) -> Response:
        """The documents, oldest first. `Link` leads to the next page, `X-Total-Count` is all of them."""
        items, headers = page_of(library.documents(), limit, offset, request)
        response = tagged(items, list[DocumentRecord], if_none_match)
        response.headers.update(headers)
        return response

    @router.post(
        "/documents", tags=["documents"], response_model=JobStatus, responses=_UPLOADED, openapi_extra=_UPLOAD
    )
    async def add_document(
        request: Request,
        name: Annotated[str, Query(description="File name; a form's file brings its own.")] = "",
        wait: Annotated[
            float, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the end of the job.")
        ] = 10.0,
    ) -> Response:
        """Add a document: the bytes of a file as the body, or a form with one file.

        The same content twice is one document. What takes longer than `wait` goes on as a job.
        """
        file_name, content = await _received(request, name or "document.txt", library.max_document_bytes)
        job = jobs.submit(file_name, content)
        await jobs.wait(job, wait)
        if job.error:
            raise job.error
        return await in_thread(_job_response, library, job)

    @router.get(
        "/documents/{document_id}", tags=["documents"], response_model=DocumentRecord, responses=_UNCHANGED
    )
    def show_document(document_id: str, if_none_match: IfNoneMatch = None) -> Response:
        """One document."""
        return tagged(_record(library, document_id), DocumentRecord, if_none_match)

    @router.patch("/documents/{document_id}", tags=["documents"])
    def rename_document(document_id: str, body: NewTitle, if_match: IfMatch = None) -> DocumentRecord:
        """Give a document another title."""
        _require_match(library, document_id, if_match)
        library.rename(document_id, body.title)
        return _record(library, document_id)

    @router.delete("/documents/{document_id}", tags=["documents"], status_code=HTTPStatus.NO_CONTENT)
    def remove_document(document_id: str, if_match: IfMatch = None) -> None:
        """Remove a document and all that was derived from it."""
        _require_match(library, document_id, if_match)
        library.remove(document_id)

    @router.get(
        "/documents/{document_id}/text",
        tags=["documents"],
        response_class=Response,
        responses=_UNCHANGED | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def show_text(
        document_id: str,
        start: Annotated[int, Query(ge=0, le=2**31)] = 0,
        end: Annotated[int | None, Query(ge=0, le=2**31)] = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        """The text that all offsets count in, or what there is of it at `start:end`."""
        text = library.document(document_id).text[start:end]
        return tagged_content(text.encode(), "text/plain; charset=utf-8", if_none_match)

    @router.get(
        "/documents/{document_id}/outline",
        tags=["documents"],
        response_model=list[OutlineSection],
        responses=_UNCHANGED,
    )
    def show_outline(document_id: str, if_none_match: IfNoneMatch = None) -> Response:
        """The sections, in order."""
        outline = outline_of(library.document(document_id))
        return tagged(outline, list[OutlineSection], if_none_match)

    @router.get("/jobs", tags=["jobs"])
    def list_jobs(
        request: Request, response: Response, limit: Limit = 100, offset: Skipped = 0
    ) -> list[JobStatus]:
        """The uploads, newest first."""
        shown, headers = page_of(list(jobs)[::-1], limit, offset, request)
        response.headers.update(headers)
        return [job_status(library, job) for job in shown]

    @router.get("/jobs/{job_id}", tags=["jobs"])
    def show_job(job_id: str) -> JobStatus:
        """How far an upload is."""
        return job_status(library, jobs.get(job_id))

    @router.post("/jobs/{job_id}/cancel", tags=["jobs"])
    async def cancel_job(job_id: str) -> JobStatus:
        """Cancel an upload: it ends at its next step, and the library stays as it was. One that is over stays
        as it is."""
        return await in_thread(job_status, library, jobs.cancel(job_id))

    return router


def outline_of(document: Document) -> list[OutlineSection]:
    """The sections, each with the number of sentences right below its heading."""
    return [
        OutlineSection(section.heading, section.level, section.path, section.start, section.end, count)
        for section, count in zip(document.sections, document.sentence_counts(), strict=True)
    ]


def job_status(library: Library, job: Job) -> JobStatus:
    """The job as programs see it."""
    record = next((each for each in library.documents() if each.id == job.document_id), None)
    problem = problem_of(job.error) if job.error else None
    progress = job.progress
    return JobStatus(
        job.id,
        job.name,
        job.state,
        progress.stage,
        progress.percent,
        job.created,
        job.is_new,
        record,
        problem,
    )


def _job_response(library: Library, job: Job) -> Response:
    done = HTTPStatus.CREATED if job.is_new else HTTPStatus.OK
    status = done if job.state == "done" else HTTPStatus.ACCEPTED
    at = f"documents/{job.document_id}" if job.state == "done" else f"jobs/{job.id}"
    content = TypeAdapter(JobStatus).dump_json(job_status(library, job))
    headers = {"Location": f"{PREFIX}/{at}"}
    return Response(content, status, media_type="application/json", headers=headers)


def _record(library: Library, document_id: str) -> DocumentRecord:
    library.require(document_id)
    record = next((each for each in library.documents() if each.id == document_id), None)
    if record is None:
        raise DocumentNotFoundError(f"there is no document {document_id!r} (any more)")
    return record


def _require_match(library: Library, document_id: str, if_match: str | None) -> None:
    record = _record(library, document_id)
    require_match(if_match, etag_of(TypeAdapter(DocumentRecord).dump_json(record)))


async def _received(request: Request, name: str, limit: int) -> tuple[str, IO[bytes]]:
    """The uploaded file's name and content. Raises DocumentTooLargeError."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return one_line(name), await spooled(name, request.stream(), limit)
    form = await request.form(max_files=1, max_fields=10)
    file = form.get("file")
    if isinstance(file, UploadFile) and (file.size or 0) <= limit:
        return one_line(file.filename or name), file.file
    await form.close()
    if isinstance(file, UploadFile):
        raise too_large(file.filename or name, file.size or 0, limit)
    missing = {"loc": ("body", "file"), "msg": "a form needs one file in the field `file`"}
    raise RequestValidationError([missing])
