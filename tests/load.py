"""Load on a real server: many clients ask, stream, upload and delete at once, and look at every response.

A client is at fault with anything but success, 429 and 503 (which have to say when to come again), and with a
quote that is not exact. Afterwards the server has to end in order, and the library to be sound: the database,
and every stored vector against the FAISS file. Exit code: 0 when nothing was wrong, else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from bench import Row, questions, resident_mib, summary, table
from rich.console import Console
from server_process import ServerProcess, server_process

from index import Library
from index.embedding import Embedder, SentenceTransformerEmbedder
from rag import Engine
from rag.async_engine import WORKERS
from rag.reader import Reader
from rag.reader.trained import TrainedReader

EXAMPLES = """
examples:
  python tests/load.py                              # 200 clients for five minutes
  python tests/load.py --clients 20 --seconds 10    # a short look
"""

MIX = {"ask": 70, "stream": 15, "upload": 10, "delete": 5}
"""How often a client does what."""

MOST_OWN = 2
"""Documents that a client has in the library at the same time; so it does not grow for ever."""

LONGEST_WAIT_SECONDS = 10.0
PAUSE_SECONDS = 1.0
"""After a fault, so that a server which has gone is not asked in vain a million times."""

TIMEOUT_SECONDS = 120.0
KEEP_ALIVE_SECONDS = 2.0
"""Shorter than the server's, else it hangs up just when the next request is sent."""

FLAT = 1.1
"""So many times the memory of the middle the end may have."""

QUESTIONS = questions(summary())


class RefusedError(Exception):
    """The server is busy and says when to come again."""

    def __init__(self, status: int, seconds: float) -> None:
        super().__init__(status, seconds)
        self.status, self.seconds = status, seconds


@dataclass
class Observations:
    """What all clients saw."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # of successes
    refused: Counter[int] = field(default_factory=Counter)  # by status
    statuses: Counter[str] = field(default_factory=Counter)  # of answers
    quotes: int = 0  # compared with their documents
    gone: int = 0  # quotes whose document another client removed before it could be compared
    faults: list[str] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)  # MiB of the server: start, middle, end
    elapsed: float = 0.0

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    def wrong(self) -> list[str]:
        """Every fault, the growth of the memory among them."""
        _, middle, end = self.resident
        if end > FLAT * middle:
            return [*self.faults, f"the memory grew from {middle:.0f} to {end:.0f} MiB"]
        return self.faults


class Client:
    """One user of the server. What it does raises RefusedError, httpx.TransportError where the connection
    fails, and AssertionError for a response that is wrong."""

    def __init__(self, number: int, seen: Observations, texts: dict[str, str], seed: int = 1) -> None:
        self.number, self.seen, self.texts = number, seen, texts
        self.random = random.Random(f"{seed} {number}")
        self.http: httpx.AsyncClient
        self.own: list[str] = []  # ids of its documents in the library
        self.written = 0

    async def act(self, kind: str) -> None:
        """Do what one of MIX says."""
        if kind == "upload" and len(self.own) == MOST_OWN:
            kind = "delete"
        if kind == "delete" and not self.own:
            kind = "ask"
        await getattr(self, kind)()

    def choose(self) -> str:
        (kind,) = self.random.choices(list(MIX), list(MIX.values()))
        return kind

    async def ask(
        self, question: str | None = None, documents: Sequence[str] | None = None
    ) -> dict[str, Any]:
        body = {"question": question or self.random.choice(QUESTIONS), "documents": documents}
        response = await self._send("ask", "POST", "/api/v1/ask", json=body)
        return await self._checked(response.json())

    async def stream(self) -> None:
        body = {"question": self.random.choice(QUESTIONS)}
        response = await self._send("stream", "POST", "/api/v1/ask/stream", json=body)
        *steps, (last, answer) = events(response.text)
        if last == "error" and answer["status"] == httpx.codes.SERVICE_UNAVAILABLE:
            raise RefusedError(answer["status"], LONGEST_WAIT_SECONDS)
        assert last == "answer", f"the stream ends with {last}: {answer}"
        told = [value for name, value in steps if name == "quote"]
        assert told == (answer["quotes"] or answer["leads"]), "the quotes are not those of the answer"
        await self._checked(answer)

    async def upload(self) -> None:
        """Add a document and ask it."""
        name = f"notes-{self.number}-{self.written}"
        content = document(name)
        parameters: dict[str, str | int] = {"name": f"{name}.md", "wait": 60}
        response = await self._send(
            "upload", "POST", "/api/v1/documents", params=parameters, content=content.encode()
        )
        assert response.status_code in (httpx.codes.CREATED, httpx.codes.OK), response.text
        self.written += 1
        self.own.append(response.json()["document"]["id"])
        answer = await self.ask(f"Who keeps {name}?", self.own[-1:])
        quoted = {each["document_id"] for each in answer["quotes"] + answer["leads"]}
        assert quoted == {self.own[-1]}, "another document than the one asked is quoted"

    async def delete(self) -> None:
        await self._send("delete", "DELETE", f"/api/v1/documents/{self.own.pop(0)}")

    async def _send(self, kind: str, method: str, path: str, **content: Any) -> httpx.Response:
        started = time.perf_counter()
        response = await self.http.request(method, path, **content)
        if response.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
            assert "Retry-After" in response.headers, "it is not said when to come again"
            raise RefusedError(response.status_code, float(response.headers["Retry-After"]))
        assert response.is_success, f"{response.status_code} {response.text}"
        self.seen.seconds[kind].append(time.perf_counter() - started)
        return response

    async def _checked(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer, whose quotes and leads are what stands in the documents."""
        assert bool(answer["quotes"]) == (answer["status"] == "answered")
        self.seen.statuses[answer["status"]] += 1
        for quote in answer["quotes"] + answer["leads"]:
            text = await self._text(quote["document_id"])
            if text is None:
                self.seen.gone += 1
            else:
                self.seen.quotes += 1
                assert text[quote["start"] : quote["end"]] == quote["text"], f"not exact: {quote}"
        return answer

    async def _text(self, document_id: str) -> str | None:
        """None once somebody removed the document; an id stands for one content for ever."""
        if document_id not in self.texts:
            response = await self.http.get(f"/api/v1/documents/{document_id}/text")
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            self.texts[document_id] = response.raise_for_status().content.decode()
        return self.texts[document_id]


def document(name: str) -> str:
    """The document of this name, unlike any other, with a line about the name."""
    rng = random.Random(name)
    lines = [rng.choice(QUESTIONS).rstrip("?") + f", says {name} in line {line}." for line in range(20)]
    return "\n\n".join([f"# About {name}", f"{name} is kept by keeper {rng.random()}.", *lines])


def events(text: str) -> Iterator[tuple[str, Any]]:
    """The server-sent events of a response: name and value."""
    assert text.endswith("\n\n"), "the stream is cut off"
    for event in text.removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines())
        yield fields["event"], json.loads(fields["data"])


# Many clients


@asynccontextmanager
async def connected(address: str, crowd: Collection[Client]) -> AsyncIterator[None]:
    """Let the clients send their requests to this address, each on a connection of its own."""
    limits = httpx.Limits(max_connections=max(1, len(crowd)), keepalive_expiry=KEEP_ALIVE_SECONDS)
    async with httpx.AsyncClient(base_url=address, timeout=TIMEOUT_SECONDS, limits=limits) as http:
        for client in crowd:
            client.http = http
        yield


async def load(server: ServerProcess, clients: int, seconds: float, seed: int = 1) -> Observations:
    """What that many clients saw in that time."""
    seen, texts = Observations(), dict[str, str]()
    crowd = [Client(number, seen, texts, seed) for number in range(clients)]
    started = time.monotonic()
    async with connected(server.address, crowd), asyncio.TaskGroup() as tasks:
        for client in crowd:
            tasks.create_task(keep_on(client, started + seconds))
        tasks.create_task(watch_memory(server, seconds, seen))
    seen.elapsed = time.monotonic() - started
    return seen


async def keep_on(client: Client, until: float) -> None:
    """Let a client do one thing after the other; it waits where it is told to."""
    while (left := until - time.monotonic()) > 0:
        kind = client.choose()
        try:
            await client.act(kind)
        except RefusedError as refusal:
            client.seen.refused[refusal.status] += 1
            await asyncio.sleep(min(refusal.seconds, LONGEST_WAIT_SECONDS, left))
        except (AssertionError, LookupError, ValueError, httpx.HTTPError) as fault:
            client.seen.faults.append(f"{kind}: {fault!r}")
            await asyncio.sleep(PAUSE_SECONDS)


async def watch_memory(server: ServerProcess, seconds: float, seen: Observations) -> None:
    for pause in (0, seconds / 2, seconds / 2):
        await asyncio.sleep(pause)
        seen.resident.append(float(resident_mib(server.process.pid)))


# The model alone, and the library afterwards


def bare_throughput(folder: Path, embedder: Embedder, reader: Reader, seconds: float) -> str:
    """Questions a second that the engine answers without a server, in one thread and in as many as it has."""
    with Library.open(folder, embedder=embedder) as library:
        library.add_bundled()
        engine = Engine(library, reader=reader)
        engine.load()
        return ", ".join(f"{throughput(engine, workers, seconds):.1f}" for workers in (1, WORKERS))


def throughput(engine: Engine, workers: int, seconds: float) -> float:
    until = time.monotonic() + seconds

    def answer_on(number: int) -> int:
        rng, answered = random.Random(number), 0
        while time.monotonic() < until:
            engine.ask(rng.choice(QUESTIONS))
            answered += 1
        return answered

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(answer_on, range(workers))) / seconds


def library_faults(folder: Path, embedder: Embedder) -> list[str]:
    """What is wrong with a library that no server uses any more."""
    with Library.open(folder, embedder=embedder) as library:
        library.nearest(embedder.embed_question("Sentence"), 3)  # it may build the FAISS file again
        return [str(check) for check in library.check() if not check.ok or "out of step" in check.detail]


# The program


def latencies(seen: Observations) -> Iterator[Row]:
    for kind in MIX:
        took = seen.seconds[kind]
        if took:
            p50, p95, p99 = np.percentile(took, (50, 95, 99)) * 1000
            per_second = len(took) / seen.elapsed
            yield kind, str(len(took)), f"{per_second:.1f}", f"{p50:.0f}", f"{p95:.0f}", f"{p99:.0f}"


def facts(seen: Observations, before: str, after: str) -> Iterator[Row]:
    threads = f"1 thread, {WORKERS} threads"
    yield "questions a second of the server", f"{seen.answered / seen.elapsed:.1f}"
    yield f"of the engine alone on the summary: {threads}", before
    yield f"of the engine alone on the library as the load left it: {threads}", after
    yield "answers by status", ", ".join(f"{count} {status}" for status, count in seen.statuses.items())
    refused = ", ".join(f"{count} with {status}" for status, count in seen.refused.items())
    yield "refused, to come again later", refused or "none"
    yield "quotes compared with their document", f"{seen.quotes} ({seen.gone} more: removed before)"
    start, middle, end = seen.resident
    yield "memory of the server in MiB: start, middle, end", f"{start:.0f}, {middle:.0f}, {end:.0f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=200, help="clients at the same time (200)")
    parser.add_argument("--seconds", type=float, default=300, help="how long they go on (300)")
    parser.add_argument("--bare-seconds", type=float, default=20, help="how long the engine is measured (20)")
    parser.add_argument("--seed", type=int, default=1, help="of what the clients do (1)")
    return parser.parse_args()


def main() -> None:
    options, console = arguments(), Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        embedder, reader = SentenceTransformerEmbedder(), TrainedReader()
        alone = partial(bare_throughput, folder / "library", embedder, reader, options.bare_seconds)
        before = alone()
        with server_process(folder, rate=0) as server:
            seen = asyncio.run(load(server, options.clients, options.seconds, options.seed))
            code, logged = server.stop(), server.logged()
        wrong = [*seen.wrong(), *logged.splitlines(), *library_faults(folder / "library", embedder)]
        after = alone()
    header = ("request", "answered", "a second", "p50 ms", "p95 ms", "p99 ms")
    title = f"{options.clients} clients for {options.seconds:.0f} s"
    console.print(table(title, header, latencies(seen)))
    console.print(table("", ("", ""), facts(seen, before, after)))
    console.print(f"exit code of the server {code}; {len(wrong)} faults", *wrong[:20], sep="\n")
    sys.exit(1 if wrong or code else 0)


if __name__ == "__main__":
    main()
