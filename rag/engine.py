"""`Engine.ask`: the only place that knows the order of the stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from index import Document, Library
from index.errors import QuestionError, QuothError
from rag.answer import Answer, Quote, Turn
from rag.conversation import MAX_TURNS, is_small_talk, resolve
from rag.reader import Reader
from rag.reader.trained import TrainedReader
from rag.retrieval import Hit, retrieve
from rag.selection import select

MAX_QUESTION_CHARS = 5_000
MAX_LIMIT = 100

OnStage = Callable[[str, float], None]
"""Called as (stage, seconds) when a stage is done: "resolve", "retrieve", "read", "select"."""


def _unwatched(stage: str, seconds: float) -> None:
    """Nobody asked how long it took."""


class InexactQuoteError(QuothError):
    """A quote is not what stands at its offsets. Never the person's fault: a defect, reported as such."""


class Engine:
    """Answers questions from one library. Safe to share between threads.

    `strict`, 0 to 1, moves the confidence that an answer needs: lower answers more readily, higher abstains
    more readily, 0.5 is where both mistakes are rarest together. A question may come with its own.
    """

    def __init__(
        self,
        library: Library,
        *,
        reader: Reader | None = None,
        max_question_chars: int = MAX_QUESTION_CHARS,
        strict: float = 0.5,
    ) -> None:
        self._library = library
        self._reader = reader or TrainedReader()
        self._max_question_chars = max_question_chars
        self._strict = strict
        self._ready = False

    @property
    def library(self) -> Library:
        """What the questions are answered from."""
        return self._library

    @property
    def reader(self) -> Reader:
        """What reads the passages; its fingerprint names the weights."""
        return self._reader

    @property
    def strict(self) -> float:
        """How sure an answer has to be where a question does not come with its own, 0 to 1."""
        return self._strict

    @property
    def ready(self) -> bool:
        """True once the models are loaded: a question then takes milliseconds."""
        return self._ready

    def load(self) -> None:
        """Load the models; `ask` does so itself when it has to. Raises ModelError."""
        self._library.embedder.load()
        self._reader.load()
        self._ready = True

    def ask(
        self,
        question: str,
        documents: Sequence[str] | None = None,
        history: Sequence[Turn] = (),
        *,
        strict: float | None = None,
        on_stage: OnStage = _unwatched,
    ) -> Answer:
        """Answer a question from these documents (ids; None: all of the library) in their own words.

        `history` holds the conversation's earlier turns, oldest first; the last twenty count. A question that
        leans on them is searched together with the one that it leans on: `resolved_question` and `resolution`
        say how it was taken. Small talk is not searched. `strict` is the engine's when left out. What
        `on_stage` raises ends the work.

        The answer's status is "empty" when there is no document to search. Raises QuestionError (blank, too
        long, also of an earlier turn, or a `strict` outside 0 to 1), DocumentNotFoundError,
        ModelMismatchError and ModelError.
        """
        check_question(question, self._max_question_chars)
        strict = self._strictness(strict)
        turns = [self._earlier(turn) for turn in history[-MAX_TURNS:]]
        chosen = self._chosen(documents)
        if not self._library.passage_count(chosen):
            return Answer(question, question, "empty", 0.0)
        if is_small_talk(question):
            return Answer(question, question, "not_found", 0.0, resolution="chitchat")
        retrieved = cache(lambda text: retrieve(self._library, text, chosen))
        with _timed("resolve", on_stage):
            meant = resolve(question, turns, retrieved)
        with _timed("retrieve", on_stage):
            found = retrieved(meant.question)
        with _timed("read", on_stage):
            reading = self._reader.read(found, meant.quoted, meant.another)
        with _timed("select", on_stage):
            status, quotes = select(reading, self._reader.operating_point.moved(strict))
            check_exact(quotes, {span.hit.document.id: span.hit.document for span in reading.spans})
        shown = {"quotes" if status == "answered" else "leads": quotes}
        return Answer(question, meant.question, status, reading.confidence, **shown, resolution=meant.kind)

    def search(
        self, question: str, documents: Sequence[str] | None = None, *, limit: int = 10
    ) -> tuple[Hit, ...]:
        """The passages nearest to a question, best first, of these documents (ids; None: all of the library).

        This is what `ask` reads before it decides: no passage here claims to answer. At most `limit`, and
        none when there is no document to search. Raises QuestionError (blank, too long, or a `limit` outside
        1 to 100), DocumentNotFoundError, ModelMismatchError and ModelError.
        """
        check_question(question, self._max_question_chars)
        if not 1 <= limit <= MAX_LIMIT:
            raise QuestionError(f"the limit is {limit}; give a number from 1 to {MAX_LIMIT}")
        chosen = self._chosen(documents)
        if not self._library.passage_count(chosen):
            return ()
        return retrieve(self._library, question, chosen, limit).hits

    def _strictness(self, strict: float | None) -> float:
        if strict is None:
            return self._strict
        if not 0 <= strict <= 1:
            raise QuestionError(f"the strictness is {strict}; give a number from 0 to 1")
        return strict

    def _earlier(self, turn: Turn) -> Turn:
        try:
            check_question(turn.question, self._max_question_chars)
        except QuestionError as error:
            raise QuestionError(f"in the history, {error}") from None
        return turn

    def _chosen(self, documents: Sequence[str] | None) -> list[str] | None:
        if documents is None:
            return None
        for document_id in documents:
            self._library.require(document_id)
        return list(dict.fromkeys(documents))


def check_question(question: str, max_chars: int) -> None:
    """Raise QuestionError for what cannot be asked."""
    if not question.strip():
        raise QuestionError("the question is blank; type what you want to know")
    if len(question) > max_chars:
        raise QuestionError(
            f"the question has {len(question):,} characters and the limit is {max_chars:,}; shorten it"
        )
    if any("\ud800" <= char <= "\udfff" for char in question):
        raise QuestionError("the question holds half of a character (a lone surrogate); type it again")


def check_exact(quotes: Sequence[Quote], documents: Mapping[str, Document]) -> None:
    """Raise InexactQuoteError unless every quote stands in its document (by id) exactly as it says.

    The documents are those that were read: others may be removing them from the library meanwhile.
    """
    for quote in quotes:
        document = documents[quote.document_id]
        if not quote.is_exact(document):
            raise InexactQuoteError(
                f"a quote at {quote.start}:{quote.end} of {document.title!r} is not exact; please report this"
            )


@contextmanager
def _timed(stage: str, on_stage: OnStage) -> Iterator[None]:
    started = time.perf_counter()
    yield
    on_stage(stage, time.perf_counter() - started)
