"""What a question becomes: pure values, no I/O. They say nothing about how they were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from index.document import Document


def whole(number: object) -> object:
    """JSON knows no difference between 7 and 7.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _not_blank(question: str) -> str:
    if not question.strip():
        raise ValueError("the question is blank; type what you want to know")
    return question


# What comes in as JSON is held to these; a program that makes its own values is trusted.
Question = Annotated[
    str,
    AfterValidator(_not_blank),
    Field(json_schema_extra={"minLength": 1, "pattern": r"[^\s\u001c-\u001f\u0085]"}),
]
Offset = Annotated[int, Field(strict=True, ge=0, le=2**40), BeforeValidator(whole)]
Chance = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]

Status = Literal["answered", "unsure", "not_found", "empty"]

ResolutionKind = Literal[
    "standalone",
    "topic_switch",
    "chitchat",
    "pronoun",
    "ellipsis",
    "what_about",
    "refers_to_answer",
    "correction",
    "return",
]
"""How a question was taken: as it stands (the first two; `topic_switch` after a turn about something else),
as small talk that asks for nothing, or as leaning on an earlier turn, and by what."""


@dataclass(frozen=True, slots=True)
class Quote:
    """An exact piece of a document: `document.text[start:end] == text`, always."""

    document_id: str
    start: Offset
    end: Offset
    text: str
    section: tuple[str, ...]  # headings, outermost first; never empty
    focus: tuple[Offset, Offset] | None  # inside start:end, in the document: what answers most directly
    score: Chance  # the reader's chance that this sentence answers the question, 0 to 1
    context: tuple[Offset, Offset] | None = (
        None  # what it leans on: the sentence before, the question, a table's header
    )
    place: str | None = None  # page or time in the source, where it has them: "p. 4", "12:31"

    def is_exact(self, document: Document) -> bool:
        """True when the text stands at its offsets in the document and the focus lies inside it."""
        focused = self.focus is None or self.start <= self.focus[0] < self.focus[1] <= self.end
        return focused and document.text[self.start : self.end] == self.text


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    status: "answered" (quotes hold the answer, best first), "unsure" (something may answer: leads hold
    it), "not_found" (the document does not say: leads hold the nearest sentences), "empty" (there was no
    document to search). `quotes` is empty unless answered; `leads` is empty when answered.
    """

    question: str  # as asked
    resolved_question: str  # what was searched: the question, or with the one that it leans on in brackets
    status: Status
    confidence: Chance  # calibrated probability that the first quote or lead answers the question, 0 to 1
    quotes: tuple[Quote, ...] = ()
    leads: tuple[Quote, ...] = ()
    resolution: ResolutionKind = "standalone"  # whether and why something else than the question was searched


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier question of a conversation with its answer, oldest first in a history."""

    question: Question
    answer: Answer | None = None
