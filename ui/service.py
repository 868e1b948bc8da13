"""What every door of the server shares: one library, one line of questions, one line of adding."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from index import Library
from rag import Engine
from rag.async_engine import AsyncEngine
from ui.jobs import Jobs
from ui.metrics import Metrics
from ui.settings import Settings
from ui.startup import Startup


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running server; belongs to one event loop."""

    library: Library
    engine: AsyncEngine
    jobs: Jobs
    startup: Startup
    metrics: Metrics
    settings: Settings

    @classmethod
    def of(cls, library: Library, engine: Engine, settings: Settings) -> Service:
        """The parts, put together; `startup` has to be started."""
        startup, metrics = Startup(library, engine), Metrics()
        line = AsyncEngine(
            engine,
            workers=settings.workers,
            waiting=settings.queue,
            seconds=settings.request_seconds,
            prepare=startup.prepare,
            on_stage=metrics.stage,
            on_answer=metrics.answered,
        )
        metrics.gauge("quoth_questions_in_line", "Questions being answered or waiting.", lambda: line.in_line)
        metrics.gauge("quoth_documents", "Documents in the library.", lambda: len(library.documents()))
        metrics.gauge("quoth_passages", "Passages in the library.", library.passage_count)
        return cls(library, line, Jobs(library, settings.max_jobs), startup, metrics, settings)

    async def close(self, seconds: float) -> bool:
        """Take nothing more, and finish what runs in at most so long; whether all of it was finished."""
        done = await asyncio.gather(self.engine.close(seconds), self.jobs.close(seconds))
        return all(done)
