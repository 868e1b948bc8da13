"""A running server as seen from the command line: whether there is one, and what it is asked."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from index import DocumentRecord, QuothError
from index.errors import (
    DocumentError,
    DocumentNotFoundError,
    DocumentTooLargeError,
    QuestionError,
    UnsupportedFormatError,
)
from index.library import Progress
from rag.answer import Answer, Turn
from rag.async_engine import EngineBusyError
from rag.conversation import MAX_TURNS
from rag.engine import check_question
from rag.retrieval import Found
from ui.jobs import State
from ui.presence import INSTANCE_HEADER, Server, announced_server
from ui.settings import Settings, token

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
POLL_SECONDS = 0.5
ANSWER_SECONDS = 120.0
"""Longer than the server lets a question wait for its models and in line: the server's own line says more."""

ERROR_OF_STATUS: dict[int, type[QuothError]] = {
    HTTPStatus.NOT_FOUND: DocumentNotFoundError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: DocumentTooLargeError,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedFormatError,
    HTTPStatus.TOO_MANY_REQUESTS: EngineBusyError,
    HTTPStatus.SERVICE_UNAVAILABLE: EngineBusyError,
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    """How far the server is with a document, as far as it matters here."""

    id: str
    state: State
    stage: str
    percent: int | None
    is_new: bool
    document: DocumentRecord | None
    problem: dict[str, Any] | None


_PROBLEM = TypeAdapter(dict[str, Any])
_ANSWER = TypeAdapter(Answer)
_JOB = TypeAdapter(_Job)
_FOUND = TypeAdapter(tuple[Found, ...])


class ServerError(QuothError):
    """The running server did not answer, or not as this version of Quoth understands."""


def find_server(settings: Settings) -> Server | None:
    """The server that has the settings' library open and answers to their token; None when none does.

    It has to name itself before it sees the token. Raises SettingsError for a token file that is none.
    """
    server = announced_server(settings.library)
    if server is None or not _is_here(server.address, settings.host):
        return None
    try:
        health = httpx.get(f"{server.address}/healthz", timeout=LOOK_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    if health.headers.get(INSTANCE_HEADER) != server.instance:
        return None
    if health.status_code == HTTPStatus.UNAUTHORIZED and not token(settings):
        log.info("the server at %s is not asked: it needs its token (QUOTH_TOKEN)", server.address)
        return None
    return server


def _is_here(address: str, host: str) -> bool:
    """Whether the address is this machine's: a library from elsewhere must not send questions elsewhere."""
    try:
        named = urlsplit(address).hostname or ""
        return named in (host, "localhost") or ip_address(named).is_loopback
    except ValueError:
        return False


class Client:
    """Asks a server what an `Engine` is asked here, and raises what that raises; also EngineBusyError, and
    ServerError when it does not answer. Use as a context manager."""

    def __init__(self, server: Server, settings: Settings) -> None:
        self._address = server.address
        self._strict = settings.strict
        self._max_question_chars = settings.max_question_chars
        secret = token(settings)
        self._http = httpx.Client(
            base_url=f"{server.address}/api/v1/",
            headers={"Authorization": f"Bearer {secret}"} if secret else None,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=LOOK_SECONDS),
            trust_env=False,  # a proxy has no business with questions
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(
        self, question: str, documents: Sequence[str] | None = None, history: Sequence[Turn] = ()
    ) -> Answer:
        """What `Engine.ask` answers there."""
        check_question(question, self._max_question_chars)
        turns = history[-MAX_TURNS:]
        body = {"question": question, "documents": documents, "history": turns, "strict": self._strict}
        return self._post("ask", body, _ANSWER)

    def search(
        self, question: str, documents: Sequence[str] | None = None, *, limit: int = 10
    ) -> tuple[Found, ...]:
        """What `Engine.search` finds there."""
        check_question(question, self._max_question_chars)
        return self._post("search", {"question": question, "documents": documents, "limit": limit}, _FOUND)

    def add(self, content: bytes, name: str, progress: Progress) -> tuple[DocumentRecord, bool]:
        """What `Library.add` adds there, and whether it is new; interrupted, nothing is added."""
        about = {"name": name, "wait": str(POLL_SECONDS)}
        job = self._value(self._send("POST", "documents", params=about, content=content), _JOB, DocumentError)
        try:
            while job.state in ("waiting", "running"):
                progress(job.stage, job.percent or 0, 100)
                time.sleep(POLL_SECONDS)
                job = self._value(self._send("GET", f"jobs/{job.id}"), _JOB)
        except KeyboardInterrupt:
            self._send("POST", f"jobs/{job.id}/cancel")
            raise
        if job.document is None:
            raise DocumentError(str((job.problem or {}).get("detail", f"{name} was not added: {job.state}")))
        return job.document, job.is_new

    def _post(self, path: str, body: dict[str, Any], expected: TypeAdapter[T]) -> T:
        return self._value(self._send("POST", path, json=to_jsonable_python(body)), expected)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ServerError(
                f"the server at {self._address} did not answer ({type(error).__name__}); try again"
            ) from error

    def _value(
        self,
        response: httpx.Response,
        expected: TypeAdapter[T],
        unusable: type[QuothError] = QuestionError,
    ) -> T:
        """The response's value, or what its problem details (RFC 9457) say, raised: of the kind `unusable`
        where what was sent cannot be used."""
        try:
            if response.is_success:
                return expected.validate_json(response.content)
            detail = str(_PROBLEM.validate_json(response.content)["detail"])
        except (ValidationError, KeyError):
            raise ServerError(
                f"the server at {self._address} speaks another version of Quoth; start it again"
            ) from None
        if response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise unusable(detail)
        raise ERROR_OF_STATUS.get(response.status_code, ServerError)(detail)
