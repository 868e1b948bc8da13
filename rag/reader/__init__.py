"""The reader: question and hits → which sentences answer, and how sure that is.

`Reader` is the seam between retrieval and selection: whatever scores sentences implements it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.answer import Quote, Status
from rag.retrieval import Hit, Retrieved

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reports to its maker unless told not to


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """A sentence (or the part of an overlong one) that may answer: `start:end` of the hit's document."""

    hit: Hit
    start: int
    end: int
    score: float  # the chance that it answers the question, 0 to 1; orders spans of one reading
    focus: tuple[int, int] | None  # offsets in the document, inside start:end


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a reader found: spans best first, without repeats, and whether the question is answered at all."""

    spans: tuple[Span, ...]
    confidence: float  # calibrated probability that the best span answers the question, 0 to 1


NEVER = 1.01
"""A threshold that no confidence reaches."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Confidence at and above `answer` is answered, from `unsure` up to it unsure, below not found."""

    answer: float
    unsure: float

    def moved(self, strict: float) -> OperatingPoint:
        """The point for another strictness: 0 answers whatever there is, 0.5 is this point, 1 never answers.

        In between both thresholds move in proportion, along the risk-coverage curve of docs/quality.md.
        """
        if strict <= 0.5:
            return OperatingPoint(2 * strict * self.answer, 2 * strict * self.unsure)
        share = 2 * strict - 1
        return OperatingPoint(
            self.answer + share * (NEVER - self.answer), self.unsure + share * (self.answer - self.unsure)
        )

    def status(self, confidence: float) -> Status:
        if confidence >= self.answer:
            return "answered"
        return "unsure" if confidence >= self.unsure else "not_found"


class Reader(Protocol):
    """Scores the sentences of the best hits."""

    @property
    def fingerprint(self) -> str:
        """What identifies the weights."""

    @property
    def operating_point(self) -> OperatingPoint:
        """Where this reader's confidence divides answers from abstentions."""

    def load(self) -> None:
        """Load what reading needs, if it is not loaded yet. Raises ModelError."""

    def read(self, retrieved: Retrieved, quoted: Sequence[Quote] = (), another: bool = False) -> Reading:
        """The same input gives the same reading. What was `quoted` just before is held back, and left out
        where `another` answer is asked for."""


__all__ = ["OperatingPoint", "Reader", "Reading", "Span"]
