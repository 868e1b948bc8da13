"""Conversations asked turn by turn, Quoth's own answers as history → how well follow-ups are understood."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index import Document, Library
from index.embedding import Embedder
from rag.answer import Answer, Turn
from rag.conversation import STANDS_ALONE
from rag.conversation.talk import Spoken, Talk, load_talks
from rag.engine import Engine
from rag.evaluation import Article, Measure, bootstrap, gold_of, is_right
from rag.reader import Reader

Choice = Callable[["TurnOutcome"], bool]


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """One turn asked three ways."""

    turn: Spoken
    later: bool  # not the first of its conversation
    resolved_question: str
    taken_as_leaning: bool
    answered: bool
    hit: bool  # with the conversation so far as history
    ceiling: bool  # the stand-alone wording, without history
    floor: bool  # what was typed, without history

    @property
    def answerable(self) -> bool:
        return bool(self.turn.answers)

    @property
    def decided_rightly(self) -> bool:
        """Left alone if it stands alone (small talk does), resolved if it does not."""
        return self.taken_as_leaning == (self.turn.leans and self.turn.kind != "chitchat")


def evaluate_conversations(
    folder: Path,
    *,
    embedder: Embedder | None = None,
    reader: Reader | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ConversationReport:
    """Ask every conversation of the folder, each of its own document. `progress(done, total)` counts turns.

    Raises EvaluationError, and ModelError when there is no model.
    """
    talks = list(load_talks(folder))
    total = sum(len(turns) for talk in talks for turns in talk.conversations)
    outcomes: list[TurnOutcome] = []
    with tempfile.TemporaryDirectory() as place, Library.open(place, embedder=embedder) as library:
        engine = Engine(library, reader=reader)
        engine.load()
        for talk in talks:
            document = library.add(talk.content, name=talk.name)
            for turns in talk.conversations:
                for outcome in _asked(engine, talk, document, turns):
                    outcomes.append(outcome)
                    if progress:
                        progress(len(outcomes), total)
    return ConversationReport(folder.name, len(talks), tuple(outcomes))


def _asked(engine: Engine, talk: Talk, document: Document, turns: Sequence[Spoken]) -> Iterator[TurnOutcome]:
    history: list[Turn] = []
    for turn in turns:
        answer = engine.ask(turn.question, [document.id], history)
        alone = answer if not history else engine.ask(turn.question, [document.id])
        ceiling = engine.ask(turn.standalone, [document.id]) if turn.leans else alone
        yield TurnOutcome(
            turn,
            bool(history),
            answer.resolved_question,
            answer.resolution not in STANDS_ALONE,
            answer.status == "answered",
            *(_hit(each, talk, document, turn) for each in (answer, ceiling, alone)),
        )
        history.append(Turn(turn.question, answer))


def _hit(answer: Answer, talk: Talk, document: Document, turn: Spoken) -> bool:
    """Whether the first quote (or, when Quoth abstained, the first lead) answers."""
    question = turn.asked(turn.question)
    gold = gold_of(document, Article(talk.name, talk.content, (question,)), question)
    return any(is_right(quote, gold) for quote in (answer.quotes or answer.leads)[:1])


@dataclass(frozen=True)
class ConversationReport:
    """What was found, in all and by type of turn."""

    data: str
    n_documents: int
    outcomes: tuple[TurnOutcome, ...]

    def measures(self) -> list[Measure]:
        """Every metric with its 95 % interval, by bootstrap over turns."""
        every = np.arange(len(self.outcomes))
        metrics = self._metrics()
        return [
            Measure(name, metric(every), *bootstrap(metric, len(every))) for name, metric in metrics.items()
        ]

    def _metrics(self) -> dict[str, Callable[[Any], float]]:
        def share(value: Choice, among: Choice) -> Callable[[Any], float]:
            values = np.array([value(each) for each in self.outcomes], dtype=float)
            chosen = np.array([among(each) for each in self.outcomes])
            return lambda at: float(values[at][chosen[at]].mean()) if chosen[at].any() else float("nan")

        metrics: dict[str, Callable[[Any], float]] = {}
        for name, among in _GROUPS.items():
            for label, value in _HITS.items():
                metrics[f"{name}: {label}"] = share(value, among)
        return metrics | {
            "decided rightly": share(lambda each: each.decided_rightly, lambda _: True),
            "decided rightly, later turns": share(lambda each: each.decided_rightly, lambda each: each.later),
            "rightly abstained": share(lambda each: not each.answered, lambda each: not each.answerable),
        }

    def by_kind(self) -> list[tuple[str, int, float, float, float, float]]:
        """Per type of turn: how many are answerable, their hit@1, ceiling and floor, decided rightly."""
        kinds = sorted({each.turn.kind for each in self.outcomes})
        return [(kind, *_row([each for each in self.outcomes if each.turn.kind == kind])) for kind in kinds]

    def to_json(self) -> dict[str, Any]:
        """Everything above, as plain values."""
        columns = ("answerable", "hit", "ceiling", "floor", "decided_rightly")
        return {
            "data": self.data,
            "documents": self.n_documents,
            "turns": len(self.outcomes),
            "measures": {
                each.name: {"value": each.value, "low": each.low, "high": each.high}
                for each in self.measures()
            },
            "by_kind": {kind: dict(zip(columns, row, strict=True)) for kind, *row in self.by_kind()},
        }


_GROUPS: dict[str, Choice] = {
    "turns that lean": lambda each: each.answerable and each.turn.leans,
    "turns that stand alone": lambda each: each.answerable and not each.turn.leans,
}

_HITS: dict[str, Choice] = {
    "hit@1": lambda each: each.hit,
    "hit@1 of the stand-alone wording": lambda each: each.ceiling,
    "hit@1 without history": lambda each: each.floor,
}


def _row(outcomes: Sequence[TurnOutcome]) -> tuple[int, float, float, float, float]:
    answerable = [each for each in outcomes if each.answerable]
    hits = (_mean([value(each) for each in answerable]) for value in _HITS.values())
    hit, ceiling, floor = hits
    return len(answerable), hit, ceiling, floor, _mean([each.decided_rightly for each in outcomes])


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")
