"""Kill a process that writes to a library, at random moments, and look at what is left each time.

    python tests/kills.py 200 [SEED]

A child adds, removes, replaces, restores a backup and embeds again with another model; it tells beforehand
what the library will hold, and afterwards that it does. After a kill the library has to open and hold what
was told to be done, and all or nothing of what was begun; everything that `Library.check` looks at has to be
right, and no file may be left that the next kill adds another to.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import faiss

from index import Document, Library
from index.backup import restore
from index.document import assemble
from index.embedding import FakeEmbedder
from index.formats import parse
from index.library import content_id
from index.passages import divide

LONGEST_SECONDS = 0.1
"""A child lives at most so long: some tens of its steps."""

MAY_BE_LEFT = {
    "opening.lock",
    "quoth.db",
    "quoth.db-shm",
    "quoth.db-wal",
    "reindex.lock",
    "restore.lock",
    "restoring",
    "vectors.faiss",
    "vectors.faiss.partial",
    "vectors.lock",
}


def content(number: int) -> bytes:
    parts = (
        f"# Part {part} of {number}\n\nSentence {number} says {part}. It also says {part * number}."
        for part in range(1, 3 + 9 * (number % 4))
    )
    return "\n\n".join(parts).encode()


CONTENTS = [content(number) for number in range(8)]
WATCHED = (6, 7)  # what one file of a watched folder holds by turns; the others come and go on their own


def document(number: int) -> Document:
    name = "watched.md" if number in WATCHED else f"{number}.md"
    return assemble(parse(CONTENTS[number], name), document_id=content_id(CONTENTS[number]), name=name)


def model(number: int) -> FakeEmbedder:
    """One of two models, that differ in fingerprint and dimension."""
    embedder = FakeEmbedder(dimension=(64, 96)[number])
    embedder.fingerprint = f"fake-{number}"
    return embedder


DOCUMENTS = [document(number) for number in range(len(CONTENTS))]
PASSAGES = [len(divide(each, model(0).count_tokens, model(0).max_tokens)) for each in DOCUMENTS]


@dataclass(frozen=True)
class State:
    """What a library holds: documents by number, and by which model they were embedded."""

    documents: frozenset[int]
    model: int

    def to_json(self) -> str:
        return json.dumps([sorted(self.documents), self.model])

    @classmethod
    def from_json(cls, text: str) -> State:
        documents, number = json.loads(text)
        return cls(frozenset(documents), number)


class Child:
    """The process that is killed."""

    def __init__(self, folder: Path, backed_up: State, state: State, pipe: int) -> None:
        self.folder, self.backed_up, self.state, self.pipe = folder, backed_up, state, pipe
        self.library = Library.open(folder / "library", embedder=model(state.model))

    def run(self, rng: random.Random) -> None:
        while True:
            often = [self.add] * 3 + [self.remove, self.replace] * 2
            step = rng.choice([*often, self.reindex, self.restore])
            step(rng.choice([number for number in range(len(CONTENTS)) if number not in WATCHED]))

    def tell(self, name: str, state: State) -> None:
        self.state = state
        os.write(self.pipe, f"{name}\t{state.to_json()}\n".encode())

    def done(self) -> None:
        os.write(self.pipe, b"done\n")

    def add(self, number: int) -> None:
        self.tell("add", State(self.state.documents | {number}, self.state.model))
        self.library.add(CONTENTS[number], name=f"{number}.md")
        self.done()

    def remove(self, number: int) -> None:
        if number in self.state.documents:
            self.tell("remove", State(self.state.documents - {number}, self.state.model))
            self.library.remove(content_id(CONTENTS[number]))
            self.done()

    def replace(self, number: int) -> None:
        new = WATCHED[number % 2]
        path = self.folder / "watched.md"
        path.write_bytes(CONTENTS[new])
        self.tell("replace", State(self.state.documents - set(WATCHED) | {new}, self.state.model))
        self.library.add_from_folder(path)
        self.done()

    def reindex(self, _: int) -> None:
        self.library.close()
        self.library = Library.open(self.library.folder, embedder=model(1 - self.state.model))
        self.tell("reindex", State(self.state.documents, 1 - self.state.model))
        self.library.reindex()
        self.done()

    def restore(self, _: int) -> None:
        self.tell("restore", self.backed_up)
        restore(self.folder / "backup", self.library.folder, force=True)
        self.done()
        self.library.close()
        self.library = Library.open(self.library.folder, embedder=model(self.state.model))


def kill_one(folder: Path, backed_up: State, state: State, rng: random.Random) -> tuple[str, set[State]]:
    """What was being done when the child was killed, and the states that this may leave."""
    reading, writing = os.pipe()
    seed, seconds = rng.random(), rng.uniform(0, LONGEST_SECONDS)
    pid = os.fork()
    if not pid:
        try:
            Child(folder, backed_up, state, writing).run(random.Random(seed))
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(writing)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the child failed by itself"
    with os.fdopen(reading) as told:
        lines = told.read().splitlines()
    return _outcome(state, lines)


def _outcome(state: State, lines: list[str]) -> tuple[str, set[State]]:
    before, doing, name = state, state, "nothing"
    for line in lines:
        if line == "done":
            before, name = doing, "nothing"
        else:
            name, told = line.split("\t")
            doing = State.from_json(told)
    return name, {before, doing}


def look(folder: Path, allowed: set[State]) -> State:
    """The state of the library, which has to be sound and in one of the states allowed."""
    assert {each.name for each in folder.iterdir()} <= MAY_BE_LEFT
    for number in {state.model for state in allowed}:
        with Library.open(folder, embedder=model(number)) as library:
            if library._stored_manifest().get("fingerprint") in (None, f"fake-{number}"):
                state = State(_held(library), number)
                assert state in allowed, f"{state} is none of {allowed}"
                return state
    raise AssertionError("the library belongs to neither model")


def _held(library: Library) -> frozenset[int]:
    library.nearest(library.embedder.embed_question("Sentence"), 3)  # as a person would: it heals the cache
    for check in library.check():
        assert check.ok, check
        assert "out of step" not in check.detail, check
    documents = [library.document(record.id) for record in library.documents()]
    assert all(each in DOCUMENTS for each in documents), "a document is not what was added"
    held = frozenset(map(DOCUMENTS.index, documents))
    for number in held:
        assert library.passage_count([DOCUMENTS[number].id]) == PASSAGES[number]
    return held


def kill_many(count: int, seed: int) -> Counter[str]:
    """How many were killed at what. Raises AssertionError for the first that left anything wrong."""
    faiss.omp_set_num_threads(1)  # a child made by fork has none of the threads of a pool
    rng = random.Random(seed)
    killed: Counter[str] = Counter()
    state = State(frozenset(), 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(count):
            if number % 10 == 0:
                backed_up = state
                (folder / "backup").unlink(missing_ok=True)
                with Library.open(folder / "library", embedder=model(state.model)) as library:
                    library.back_up(folder / "backup")
            doing, allowed = kill_one(folder, backed_up, state, rng)
            killed[doing] += 1
            state = look(folder / "library", allowed)
    return killed


def main() -> None:
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    started = time.monotonic()
    killed = kill_many(count, seed)
    print(f"{count} killed (seed {seed}) in {time.monotonic() - started:.0f} s: {dict(killed)}")  # noqa: T201


if __name__ == "__main__":
    main()
