"""Conversations with known answers: NAME.conv.jsonl beside a document, one conversation a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.formats import PARSERS
from rag.evaluation import EvaluationError, Question, cleaner

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


def _document(name: str, folder: Path) -> Path:
    for suffix in PARSERS:
        if (folder / f"{name}{suffix}").exists():
            return folder / f"{name}{suffix}"
    raise EvaluationError(f"there is no document {name!r} in {folder} ({', '.join(PARSERS)})")


def _spoken(turn: dict[str, Any], clean: Any) -> Spoken:
    return Spoken(
        turn["q"], turn["standalone"], turn["type"], tuple(clean(each) for each in turn["evidence"])
    )
