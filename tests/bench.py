"""What Quoth costs on this machine: time to the first answer, a warm question by stage, adding, memory.

Run by `make bench`. Everything happens in temporary folders and on loopback.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rag.reader.encoding import Batch
    from rag.reader.scoring import SentenceScorer
    from rag.retrieval import Retrieved

ARTICLES = Path(__file__).parents[1] / "rag/reader/authored_2"

QUESTION = "Why did Tesla remove radar and lidar?"
START_LIMIT_SECONDS = 180
LARGE_TEXT_CHARACTERS = 1_000_000

Row = tuple[str, ...]


def main() -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        step = ("step", "seconds", "resident MiB")
        console.print(table("quoth serve, a new library", step, serve_steps(Path(folder) / "served")))
        console.print(table("In one process", step, library_steps(Path(folder) / "library")))
        stages = ("stage", "p50 ms", "p95 ms", "share")
        asked = {
            "the summary": (summary(), questions(summary())),
            "an article of 35 paragraphs": article(),
        }
        for name, (text, about_it) in asked.items():
            rows = question_stages(Path(folder) / name, text, about_it)
            console.print(table(f"A warm question to {name}", stages, rows))


def table(title: str, header: Row, rows: Iterable[Row]) -> Table:
    result = Table(*header, title=title, title_justify="left", box=None)
    for row in rows:
        result.add_row(*row)
    return result


# The page, in a process of its own


def serve_steps(folder: Path) -> Iterator[Row]:
    """From the start of the process: the page answers, the first question is answered; then a restart."""
    yield from served_once(folder, "first start")
    yield from served_once(folder, "later start")


def served_once(folder: Path, label: str) -> Iterator[Row]:
    port = free_port()
    command = [str(Path(sys.executable).with_name("quoth")), "serve"]
    environment = os.environ | {"QUOTH_LIBRARY": str(folder), "QUOTH_PORT": str(port)}
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            for name, request in page_requests(f"http://127.0.0.1:{port}"):
                wait_for(request, server)
                yield f"{label}: {name}", f"{time.perf_counter() - started:.1f}", resident_mib(server.pid)
        finally:
            server.terminate()


def page_requests(address: str) -> Iterator[tuple[str, urllib.request.Request]]:
    yield "the page opens", urllib.request.Request(f"{address}/")
    body = json.dumps({"question": QUESTION}).encode()
    headers = {"Content-Type": "application/json"}
    yield "a question is answered", urllib.request.Request(f"{address}/api/v1/ask", body, headers)


def wait_for(request: urllib.request.Request, server: subprocess.Popen[bytes]) -> None:
    """Send the request until it succeeds."""
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=START_LIMIT_SECONDS) as response:
                response.read()
                return
        except (urllib.error.URLError, ConnectionError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the page never answered {request.full_url}: {error}") from error
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# The library and the engine, in this process


def library_steps(folder: Path) -> Iterator[Row]:
    yield measured("Python and this script", lambda: None)
    yield measured("import Library and Engine", import_packages)
    from index import Library
    from rag import Engine

    with Library.open(folder) as library:
        yield measured("load the model", library.embedder.load)
        yield measured("add the summary", library.add_bundled)
        text = large_text(summary(), LARGE_TEXT_CHARACTERS).encode()
        yield measured("add 1 MB of text", lambda: library.add(text, name="large.txt"))
        yield measured("ask it a question", lambda: Engine(library).ask(QUESTION))


def import_packages() -> None:
    import index
    import rag

    assert index.Library
    assert rag.Engine


def measured(name: str, step: Callable[[], object]) -> Row:
    started = time.perf_counter()
    step()
    return name, f"{time.perf_counter() - started:.2f}", resident_mib(os.getpid())


def question_stages(folder: Path, text: str, asked: Sequence[str]) -> Iterator[Row]:
    """Every stage's share of a question to a document, and what ONNX Runtime alone takes for its tensors."""
    from index import Library
    from rag import Engine
    from rag.reader.trained import TrainedReader
    from rag.retrieval import retrieve

    seconds: dict[str, list[float]] = defaultdict(list)
    with Library.open(folder) as library:
        library.add(text.encode(), name="bench.txt")
        reader = TrainedReader()
        engine = Engine(library, reader=reader)
        engine.ask(QUESTION)
        for question in asked:
            started = time.perf_counter()
            engine.ask(question, on_stage=lambda stage, took: seconds[stage].append(took))
            seconds["in all"].append(time.perf_counter() - started)
            tensors = read_by(reader.scorer, retrieve(library, question))
            started = time.perf_counter()
            reader.scorer.run_tensors(tensors)
            seconds["the network alone, of read"].append(time.perf_counter() - started)
    whole = dict.fromkeys(seconds, "in all") | {"the network alone, of read": "read"}
    for stage, took in seconds.items():
        p50, p95 = np.percentile(took, (50, 95)) * 1000
        yield stage, f"{p50:.1f}", f"{p95:.1f}", f"{sum(took) / sum(seconds[whole[stage]]):.0%}"
    yield f"({len(seconds['in all'])} questions)", "", "", ""


def read_by(scorer: SentenceScorer, retrieved: Retrieved) -> list[Batch]:
    """What the network gets for a question."""
    from rag.reader.features import candidates_of, evidence_matrix, hits_to_read
    from rag.reader.scoring import passages_of

    hits = hits_to_read(retrieved)
    evidence = evidence_matrix(retrieved, candidates_of(hits))
    return scorer.tensors(retrieved.query.text, passages_of(hits, evidence))


def summary() -> str:
    return files("index.corpus").joinpath("hacking_the_universe.txt").read_text(encoding="utf-8")


def article() -> tuple[str, list[str]]:
    """Thirty-five paragraphs of the encyclopedia articles among the training documents, and sixty of the
    questions about them."""
    paragraphs: list[str] = []
    asked: list[str] = []
    for file in sorted(ARTICLES.glob("n6-*.txt")):
        if len(paragraphs) < 35:
            paragraphs += [each for each in file.read_text("utf-8").split("\n\n") if len(each) > 200]
            asked += [
                json.loads(line)["q"] for line in file.with_suffix(".jsonl").read_text("utf-8").splitlines()
            ]
    return "An article\n\n" + "\n\n".join(paragraphs[:35]) + "\n", asked[:: len(asked) // 60][:60]


def questions(text: str) -> list[str]:
    """The questions of the text, each as it stands, as typed in haste, and as keywords."""
    labelled = (line.partition(": ") for line in text.splitlines() if line.endswith("?"))
    return [spelling for _, _, question in labelled for spelling in spellings(question)]


def spellings(question: str) -> tuple[str, str, str]:
    return (
        question,
        question.lower().rstrip("?"),
        " ".join(word for word in question.split() if len(word) > 3),
    )


def large_text(text: str, characters: int) -> str:
    """The text's paragraphs again and again, every sentence numbered so that no two are the same."""
    paragraphs = [line for line in text.splitlines() if line]
    parts: list[str] = []
    length = 0
    while length < characters:
        number = len(parts) + 1
        parts.append(paragraphs[number % len(paragraphs)].replace(". ", f" in case {number}. "))
        length += len(parts[-1]) + 2
    return "\n\n".join(parts)


def resident_mib(pid: int) -> str:
    """The process's resident memory, "-" where the system does not say."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return "-"
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return f"{int(line.split()[1]) / 1024:.0f}"


if __name__ == "__main__":
    main()
