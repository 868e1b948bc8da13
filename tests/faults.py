"""Kill a server with `kill -9` in the middle of uploads and questions, start it again, and look.

Each time, whoever had asked it something gets a clear failure, never half of an answer; the library is sound
and holds every document that was said to be added; the new server answers, and what was interrupted works
when it is tried again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import httpx
from load import Client, Observations, RefusedError, connected, library_faults
from rich.console import Console
from server_process import ServerProcess, server_process

from index import Library
from index.embedding import Embedder, SentenceTransformerEmbedder

EXAMPLES = """
examples:
  python tests/faults.py --kills 50    # ten minutes and more: every start loads the models
  python tests/faults.py --kills 2     # a short look
"""

MOST_SECONDS = 3.0
"""A server is killed at most so long after what was interrupted works again."""

BUSY_SECONDS = 0.05


def survive(folder: Path, kills: int, clients: int, embedder: Embedder, seed: int = 1) -> Counter[str]:
    """How often what was interrupted, and by which failure. Raises AssertionError for whatever is wrong."""
    rng, failures = random.Random(seed), Counter[str]()
    seen = Observations()
    crowd = [Client(number, seen, {}, seed) for number in range(clients)]
    interrupted: dict[Client, str] = {}
    for _ in range(kills):
        with server_process(folder, rate=0) as server:
            asyncio.run(try_again(server, interrupted))
            interrupted = asyncio.run(kill(server, crowd, rng.uniform(0, MOST_SECONDS), failures))
            assert server.logged() == ""
        assert library_faults(folder / "library", embedder) == []
        assert_held(folder / "library", crowd, embedder)
    with server_process(folder, rate=0) as server:
        asyncio.run(try_again(server, interrupted))
        assert (server.stop(), server.logged()) == (0, "")
    return failures


async def try_again(server: ServerProcess, interrupted: dict[Client, str]) -> None:
    """Let each client do what it could not finish."""
    async with connected(server.address, interrupted):
        await asyncio.gather(*(until_done(client, kind) for client, kind in interrupted.items()))


async def kill(
    server: ServerProcess, crowd: Sequence[Client], seconds: float, failures: Counter[str]
) -> dict[Client, str]:
    """Kill the server while the clients are at it; what each of them could not finish."""
    async with connected(server.address, crowd):
        tasks = [asyncio.create_task(until_failure(client, failures)) for client in crowd]
        await asyncio.sleep(seconds)
        await asyncio.to_thread(server.kill)
        return dict(zip(crowd, await asyncio.gather(*tasks), strict=True))


async def until_done(client: Client, kind: str) -> None:
    while True:
        try:
            return await client.act(kind)
        except RefusedError:
            await asyncio.sleep(BUSY_SECONDS)


async def until_failure(client: Client, failures: Counter[str]) -> str:
    """Go on until a request fails; what that was to do."""
    while True:
        kind = client.choose()
        try:
            await until_done(client, kind)
        except httpx.TimeoutException:
            raise  # to be left waiting is no clear failure
        except httpx.TransportError as error:
            failures[f"{kind}: {type(error).__name__}"] += 1
            return kind


def assert_held(folder: Path, crowd: list[Client], embedder: Embedder) -> None:
    """What was said to be added is there."""
    with Library.open(folder, embedder=embedder) as library:
        held = {record.id for record in library.documents()}
    assert held >= {document_id for client in crowd for document_id in client.own}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="how often the server is killed (50)")
    parser.add_argument("--clients", type=int, default=16, help="clients at the same time (16)")
    parser.add_argument("--seed", type=int, default=1, help="of what the clients do, and when it ends (1)")
    return parser.parse_args()


def main() -> None:
    options, started = arguments(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        embedder = SentenceTransformerEmbedder()
        failures = survive(Path(name), options.kills, options.clients, embedder, options.seed)
    Console().print(
        f"{options.kills} kills in {time.monotonic() - started:.0f} s: all was sound afterwards",
        f"{failures.total()} requests were interrupted, and worked when they were tried again:",
        *(f"{count} × {what}" for what, count in sorted(failures.items())),
        sep="\n",
    )


if __name__ == "__main__":
    main()
