"""Uploads that wait to be added, one after the other; each can be watched and cancelled."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Literal

from index import Library, QuothError

KEPT_JOBS = 1_000
"""Finished ones are forgotten beyond this many, the oldest first."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]


class JobNotFoundError(QuothError):
    """There is no such job, or it was finished long ago."""


class AddingBusyError(QuothError):
    """More uploads wait already than the server takes; try again later."""


class AddCancelledError(QuothError):
    """The person does not want the document any more."""


class AddProgress:
    """How far the adding of a file is: written by one thread, read by another, which may cancel it."""

    def __init__(self) -> None:
        self.stage = "read"
        self.percent: int | None = None
        self._cancelled = threading.Event()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if not (stage == "store" and done == total):  # it is in the library then: too late
            self.check()
        self.stage, self.percent = stage, 100 * done // total if total > 1 else None

    def cancel(self) -> None:
        """Let the adding end at its next step."""
        self._cancelled.set()

    def check(self) -> None:
        """Raises AddCancelledError when it was cancelled."""
        if self._cancelled.is_set():
            raise AddCancelledError("the adding was cancelled")


@dataclass(slots=True, eq=False)
class Job:
    """An upload on its way into the library.

    Its state is "waiting", "running", then "done" (`document_id` is in the library, and `is_new` unless it
    was there before), "failed" (`error` says why) or "cancelled".
    """

    name: str
    content: IO[bytes]  # closed when the job is over
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    state: State = "waiting"
    progress: AddProgress = field(default_factory=AddProgress)
    document_id: str | None = None
    is_new: bool = False
    error: Exception | None = None
    over: Future[None] = field(default_factory=Future)


class Jobs:
    """The line of uploads. Belongs to one event loop; the adding itself is done in a thread."""

    def __init__(self, library: Library, max_waiting: int) -> None:
        self._library = library
        self._max_waiting = max_waiting
        self._jobs: dict[str, Job] = {}
        self._pool = ThreadPoolExecutor(1, "quoth-add")
        self._closed = False

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def submit(self, name: str, content: IO[bytes]) -> Job:
        """Put an upload in line. Raises AddingBusyError when that is full or closed."""
        waiting = sum(not job.over.done() for job in self)
        if self._closed or waiting > self._max_waiting:
            content.close()
            raise AddingBusyError(f"{waiting} uploads wait already to be added; try again later")
        job = Job(name, content)
        self._jobs[job.id] = job
        self._forget_oldest()
        self._pool.submit(self._run, job)
        return job

    def get(self, job_id: str) -> Job:
        """Raises JobNotFoundError."""
        if job_id not in self._jobs:
            raise JobNotFoundError(f"there is no job {job_id!r}; finished ones are forgotten after a while")
        return self._jobs[job_id]

    def cancel(self, job_id: str) -> Job:
        """End a job at its next step, which leaves the library as it was; one that is over stays as it is.

        Raises JobNotFoundError.
        """
        job = self.get(job_id)
        job.progress.cancel()
        return job

    async def wait(self, job: Job, seconds: float) -> bool:
        """Whether the job is over; waits for that at most so long."""
        done, _ = await asyncio.wait([asyncio.wrap_future(job.over)], timeout=seconds)
        return bool(done)

    async def close(self, seconds: float) -> bool:
        """Take no more uploads, and wait at most `seconds` for those in line; whether all were added.

        The others are cancelled.
        """
        self._closed = True
        waiting = [asyncio.wrap_future(job.over) for job in self if not job.over.done()]
        pending = (await asyncio.wait(waiting, timeout=seconds))[1] if waiting else ()
        for job in self:
            job.progress.cancel()
        self._pool.shutdown(wait=False)
        return not pending

    def _forget_oldest(self) -> None:
        finished = [job.id for job in self if job.over.done()]
        for job_id in finished[: max(0, len(self._jobs) - KEPT_JOBS)]:
            del self._jobs[job_id]

    def _run(self, job: Job) -> None:
        try:
            with job.content as content:
                job.progress.check()
                job.state = "running"
                job.is_new, job.document_id = self._add(job, content.read())
            job.state = "done"
        except AddCancelledError:
            job.state = "cancelled"
        except Exception as error:
            job.state, job.error = "failed", error
        job.over.set_result(None)

    def _add(self, job: Job, content: bytes) -> tuple[bool, str]:
        known = {record.id for record in self._library.documents()}
        document = self._library.add(content, name=job.name, progress=job.progress)
        return document.id not in known, document.id
