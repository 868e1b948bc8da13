"""The engine for servers: `await` instead of waiting, a bounded line, an end to work nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from index.errors import QuothError
from rag.answer import Answer, Quote, Turn
from rag.engine import Engine, OnStage
from rag.retrieval import Hit

T = TypeVar("T")

WORKERS = 2
"""Questions that are answered at the same time."""

WAITING = 64
"""Questions that wait in line behind them."""

SECONDS: float = 60
"""That a question may take, waiting in line included."""

IDLE_POLL_SECONDS = 0.02

STOPPING = "Quoth is being stopped and answers no more questions; ask again later"


class EngineBusyError(QuothError):
    """More questions wait already than the engine takes; ask again later."""


class EngineTooSlowError(EngineBusyError):
    """The question was not answered in the time that it may take."""


class EngineClosedError(EngineBusyError):
    """The engine ends its work and takes no more questions."""


class _AbandonedError(Exception):
    """Nobody waits for this answer any more."""


@dataclass(frozen=True, slots=True)
class StageDone:
    """A stage of `Engine.ask` is over."""

    stage: str  # "resolve", "retrieve", "read" or "select"
    seconds: float


class AsyncEngine:
    """An engine whose questions wait in a bounded line. Belongs to one event loop.

    A question that is cancelled leaves the line, and its work ends at the next stage. `prepare` is awaited
    before every question, in line: what is to be loaded first. `on_stage` hears of every stage, `on_answer`
    of every answer, each in any thread.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        workers: int = WORKERS,
        waiting: int = WAITING,
        seconds: float = SECONDS,
        prepare: Callable[[], Awaitable[None]] | None = None,
        on_stage: OnStage | None = None,
        on_answer: Callable[[Answer], None] | None = None,
    ) -> None:
        self._engine = engine
        self._places = workers + waiting
        self._seconds = seconds
        self._prepare = prepare
        self._on_stage = on_stage
        self._on_answer = on_answer
        self._pool = ThreadPoolExecutor(workers, "quoth-ask")
        self._taken = 0
        self._limits: set[asyncio.Timeout] = set()  # of the questions in line
        self._closed = False

    @property
    def engine(self) -> Engine:
        """What answers."""
        return self._engine

    @property
    def in_line(self) -> int:
        """Questions that are being answered or wait for it."""
        return self._taken

    async def ask(
        self,
        question: str,
        documents: Sequence[str] | None = None,
        history: Sequence[Turn] = (),
        *,
        strict: float | None = None,
        on_stage: OnStage | None = None,
    ) -> Answer:
        """What `Engine.ask` answers, and what it raises.

        Raises EngineBusyError too: at once when the line is full, after `seconds` without an answer
        (EngineTooSlowError), and once `close` was called (EngineClosedError).
        """
        listeners = [each for each in (self._on_stage, on_stage) if each]
        answer = await self._run(
            lambda check: self._engine.ask(
                question, documents, history, strict=strict, on_stage=_calling(check, *listeners)
            )
        )
        if self._on_answer:
            self._on_answer(answer)
        return answer

    async def search(
        self, question: str, documents: Sequence[str] | None = None, *, limit: int = 10
    ) -> tuple[Hit, ...]:
        """What `Engine.search` finds, and what it raises; and EngineBusyError as `ask` does."""
        return await self._run(lambda _: self._engine.search(question, documents, limit=limit))

    async def stream(
        self,
        question: str,
        documents: Sequence[str] | None = None,
        history: Sequence[Turn] = (),
        *,
        strict: float | None = None,
    ) -> AsyncGenerator[StageDone | Quote | Answer]:
        """Each stage when it is over, then each quote (or lead) as it was decided, at last the answer.

        Closed early, it ends the work. Raises what `ask` raises.
        """
        loop = asyncio.get_running_loop()
        stages: asyncio.Queue[StageDone | None] = asyncio.Queue()

        def tell(stage: str, seconds: float) -> None:
            loop.call_soon_threadsafe(stages.put_nowait, StageDone(stage, seconds))

        asking = asyncio.create_task(self.ask(question, documents, history, strict=strict, on_stage=tell))
        asking.add_done_callback(lambda _: stages.put_nowait(None))
        try:
            while stage := await stages.get():
                yield stage
            answer = await asking
            for quote in answer.quotes or answer.leads:
                yield quote
            yield answer
        finally:
            asking.cancel()

    async def close(self, seconds: float) -> bool:
        """Take no more questions, and wait at most `seconds` for those in line; whether all were answered.

        The others raise EngineClosedError.
        """
        self._closed = True
        try:
            async with asyncio.timeout(seconds):
                while self._taken:
                    await asyncio.sleep(IDLE_POLL_SECONDS)
        except TimeoutError:
            for limit in self._limits:
                if not limit.expired():
                    limit.reschedule(0)
            return False
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
        return True

    async def _run(self, work: Callable[[OnStage], T]) -> T:
        """The work's result, in the line's turn. The work is given what ends it once nobody waits."""
        with self._place():
            try:
                async with asyncio.timeout(self._seconds) as limit:
                    self._limits.add(limit)
                    if self._prepare:
                        await self._prepare()
                    return await self._in_worker(work)
            except TimeoutError:
                if not limit.expired():
                    raise
                if self._closed:
                    raise EngineClosedError(STOPPING) from None
                raise EngineTooSlowError(
                    f"the question was not answered in {self._seconds:.0f} seconds; ask again later"
                ) from None
            finally:
                self._limits.discard(limit)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._closed:
            raise EngineClosedError(STOPPING)
        if self._taken >= self._places:
            raise EngineBusyError(f"{self._taken} questions wait already; ask again later")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def _in_worker(self, work: Callable[[OnStage], T]) -> T:
        abandoned = Event()

        def check(stage: str, seconds: float) -> None:
            if abandoned.is_set():
                raise _AbandonedError

        try:
            return await asyncio.wrap_future(self._pool.submit(copy_context().run, work, check))
        finally:
            abandoned.set()


def _calling(*listeners: OnStage) -> OnStage:
    def call(stage: str, seconds: float) -> None:
        for listener in listeners:
            listener(stage, seconds)

    return call
