"""The engine for servers: its line, its stream, and how work ends that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from index import Library
from index.embedding import FakeEmbedder
from index.errors import QuestionError
from rag import Answer, Engine, Quote
from rag.async_engine import (
    AsyncEngine,
    EngineBusyError,
    EngineClosedError,
    EngineTooSlowError,
    StageDone,
)
from rag.reader import OperatingPoint, Reading
from rag.reader.trained import TrainedReader
from rag.retrieval import Retrieved

RADAR = "Why did Tesla remove radar and lidar?"


class GatedReader(TrainedReader):
    """Reads when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_read = threading.Event()
        self.reads = 0

    @property
    def operating_point(self) -> OperatingPoint:
        return OperatingPoint(0.5, 0.2)

    def read(self, retrieved: Retrieved, quoted: Any = (), another: bool = False) -> Reading:
        self.reads += 1
        assert self.may_read.wait(30)
        return super().read(retrieved, quoted, another)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("async"), embedder=FakeEmbedder()) as opened:
        opened.add_bundled()
        yield opened


@pytest.fixture
def reader() -> Iterator[GatedReader]:
    gated = GatedReader()
    yield gated
    gated.may_read.set()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_an_answer_is_the_engines(library: Library) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library))
        assert await engine.ask(RADAR) == engine.engine.ask(RADAR)
        found, expected = await engine.search(RADAR, limit=3), engine.engine.search(RADAR, limit=3)
        assert [hit.stored.id for hit in found] == [hit.stored.id for hit in expected]
        with pytest.raises(QuestionError):
            await engine.ask("")

    run(check())


def test_a_stream_tells_every_stage_then_every_quote_then_the_answer(library: Library) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library))
        steps = [step async for step in engine.stream(RADAR)]
        stages = [step.stage for step in steps if isinstance(step, StageDone)]
        answer = steps[-1]
        assert stages == ["resolve", "retrieve", "read", "select"]
        assert isinstance(answer, Answer)
        assert [step for step in steps if isinstance(step, Quote)] == list(answer.quotes or answer.leads)
        assert [type(step) for step in steps] == sorted(
            map(type, steps), key=[StageDone, Quote, Answer].index
        )

    run(check())


def test_a_full_line_is_said_at_once(library: Library, reader: GatedReader) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library, reader=reader), workers=1, waiting=2)
        asked = [asyncio.create_task(engine.ask(RADAR)) for _ in range(3)]
        await until(lambda: reader.reads == 1)
        assert engine.in_line == 3
        with pytest.raises(EngineBusyError, match="3 questions wait"):
            await engine.ask(RADAR)
        reader.may_read.set()
        assert len(await asyncio.gather(*asked)) == 3
        assert engine.in_line == 0

    run(check())


def test_who_leaves_makes_room(library: Library, reader: GatedReader) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library, reader=reader), workers=1, waiting=1)
        first = asyncio.create_task(engine.ask(RADAR))
        await until(lambda: reader.reads == 1)
        waiting = asyncio.create_task(engine.ask(RADAR))
        await until(lambda: engine.in_line == 2)
        waiting.cancel()
        await until(lambda: engine.in_line == 1)
        reader.may_read.set()
        await first
        assert (await engine.ask(RADAR)).quotes
        assert reader.reads == 2, "the question that was cancelled in line was read"

    run(check())


def test_abandoned_work_ends_at_the_next_stage(library: Library, reader: GatedReader) -> None:
    async def check() -> None:
        stages: list[str] = []
        engine = AsyncEngine(
            Engine(library, reader=reader), workers=1, on_stage=lambda stage, _: stages.append(stage)
        )
        asking = asyncio.create_task(engine.ask(RADAR))
        await until(lambda: reader.reads == 1)
        asking.cancel()
        await asyncio.wait([asking])
        reader.may_read.set()
        await engine.ask(RADAR)  # in the worker that the abandoned one had
        assert stages == ["resolve", "retrieve", "resolve", "retrieve", "read", "select"]

    run(check())


def test_a_stream_that_is_closed_ends_the_work(library: Library, reader: GatedReader) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library, reader=reader))
        stream = engine.stream(RADAR)
        assert isinstance(await anext(stream), StageDone)
        await stream.aclose()
        await until(lambda: engine.in_line == 0)

    run(check())


def test_a_question_has_its_time(library: Library, reader: GatedReader) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library, reader=reader), workers=1, seconds=0.2)
        with pytest.raises(EngineTooSlowError, match="ask again later"):
            await engine.ask(RADAR)
        assert engine.in_line == 0

    run(check())


def test_a_time_limit_of_the_engine_itself_is_no_slowness(library: Library) -> None:
    async def check() -> None:
        async def prepare() -> None:
            raise TimeoutError("of something else")

        with pytest.raises(TimeoutError, match="of something else"):
            await AsyncEngine(Engine(library), prepare=prepare).ask(RADAR)

    run(check())


def test_what_is_to_be_loaded_comes_first_and_in_line(library: Library) -> None:
    async def check() -> None:
        loaded = asyncio.Event()

        async def prepare() -> None:
            await loaded.wait()

        engine = AsyncEngine(Engine(library), workers=1, waiting=0, prepare=prepare)
        asking = asyncio.create_task(engine.ask(RADAR))
        await until(lambda: engine.in_line == 1)
        with pytest.raises(EngineBusyError):
            await engine.ask(RADAR)
        loaded.set()
        assert (await asking).quotes

    run(check())


def test_closing_finishes_what_runs_and_refuses_what_comes(library: Library, reader: GatedReader) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library, reader=reader), workers=1)
        asked = [asyncio.create_task(engine.ask(RADAR)) for _ in range(2)]
        await until(lambda: reader.reads == 1)
        closing = asyncio.create_task(engine.close(30))
        await asyncio.sleep(0.05)
        with pytest.raises(EngineClosedError):
            await engine.ask(RADAR)
        reader.may_read.set()
        assert await closing
        assert all(answer.quotes for answer in await asyncio.gather(*asked))

    run(check())


def test_closing_has_its_time(library: Library, reader: GatedReader) -> None:
    async def check() -> None:
        engine = AsyncEngine(Engine(library, reader=reader), workers=1)
        asking = asyncio.create_task(engine.ask(RADAR))
        await until(lambda: reader.reads == 1)
        assert not await engine.close(0.1)
        asking.cancel()

    run(check())


def test_answers_and_stages_are_told_to_who_counts(library: Library) -> None:
    async def check() -> None:
        answers: list[Answer] = []
        stages: list[str] = []
        engine = AsyncEngine(
            Engine(library),
            on_answer=answers.append,
            on_stage=lambda stage, seconds: stages.append(stage) if seconds >= 0 else None,
        )
        assert answers == [await engine.ask(RADAR)]
        assert len(stages) == 4

    run(check())
