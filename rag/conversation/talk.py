"""Conversations with known answers: NAME.conv.jsonl beside a document, one conversation a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from index.formats import PARSERS
from rag.conversation import together
from rag.evaluation import Article, EvaluationError, Question, cleaner

SUFFIX = ".conv.jsonl"


@dataclass(frozen=True, slots=True)
class Spoken:
    """One turn: what was typed, the same understandable by itself, and what answers it."""

    question: str
    standalone: str
    kind: str
    answers: tuple[str, ...]  # alternatives, best first; none when the document does not say

    @property
    def leans(self) -> bool:
        """Whether the turn cannot be understood by itself."""
        return self.question.strip().casefold() != self.standalone.strip().casefold()

    def asked(self, text: str) -> Question:
        """The turn as a question for the evaluation, in these words."""
        return Question(text, self.kind, self.answers)


@dataclass(frozen=True, slots=True)
class Talk:
    """A document and the conversations about it."""

    name: str
    content: bytes
    conversations: tuple[tuple[Spoken, ...], ...]


def load_talks(folder: Path, documents: Path | None = None) -> Iterator[Talk]:
    """Every NAME.conv.jsonl of the folder with its document, from `documents` or beside it.

    Raises EvaluationError.
    """
    files = sorted(folder.glob(f"*{SUFFIX}"))
    if not files:
        raise EvaluationError(f"{folder} holds no conversations (NAME{SUFFIX} beside a document)")
    for file in files:
        source = _document(file.name.removesuffix(SUFFIX), documents or folder)
        clean = cleaner(source.suffix)
        try:
            lines = [
                json.loads(line)["turns"] for line in file.read_text("utf-8").splitlines() if line.strip()
            ]
            conversations = tuple(tuple(_spoken(turn, clean) for turn in turns) for turns in lines)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EvaluationError(f"{file} does not hold conversations ({error!r})") from error
        yield Talk(source.name, source.read_bytes(), conversations)


def follow_ups(folder: Path, documents: Path) -> list[Article]:
    """The later turns as the reader gets them, each with the question before it: what it is trained on.

    Turns that stand alone are among them, so that one that is taken to lean by mistake is still understood.
    """
    return [
        Article(
            talk.name,
            talk.content,
            tuple(question for turns in talk.conversations for question in _bracketed(turns)),
        )
        for talk in load_talks(folder, documents)
    ]


def _bracketed(turns: Sequence[Spoken]) -> Iterator[Question]:
    asked = [turn for turn in turns if turn.kind != "chitchat"]
    for before, turn in pairwise(asked):
        if turn.kind != "return":
            kind = "follow_up" if turn.answers else "not_covered"
            yield Question(together(turn.question, before.question), kind, turn.answers)


def _document(name: str, folder: Path) -> Path:
    for suffix in PARSERS:
        if (folder / f"{name}{suffix}").exists():
            return folder / f"{name}{suffix}"
    raise EvaluationError(f"there is no document {name!r} in {folder} ({', '.join(PARSERS)})")


def _spoken(turn: dict[str, Any], clean: Any) -> Spoken:
    return Spoken(
        turn["q"], turn["standalone"], turn["type"], tuple(clean(each) for each in turn["evidence"])
    )
