"""What people say about answers: pure values, checked before they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from index.document import Document
from index.errors import FeedbackError

Verdict = Literal["helpful", "not_helpful", "answer_here", "not_said"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

MAX_TEXT_CHARS = 250_000
"""Of a question (the longest that a setting allows, with the one that it leans on) and of an excerpt."""

MAX_SHOWN = 20
MAX_DOCUMENTS = 1_000
MAX_FINGERPRINT_CHARS = 200


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a paragraph of a document in the library."""

    document_id: str
    start: int
    end: int
    text: str

    def stands_in(self, document: Document) -> bool:
        """Whether the document says so at these offsets, within the sentences of one paragraph."""
        sentences = [document.sentences[n] for n in document.sentences_between(self.start, self.end)]
        return (
            bool(sentences)
            and sentences[0].start <= self.start < self.end <= sentences[-1].end
            and sentences[0].block == sentences[-1].block
            and document.text[self.start : self.end] == self.text
        )


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said about an answer, and what the answer was.

    verdict: "helpful", "not_helpful", "answer_here" (`answer` is what answers the question) or "not_said"
    (the documents do not answer it).
    """

    verdict: Verdict
    question: str  # as asked
    resolved_question: str  # as searched
    documents: tuple[str, ...]  # ids of those that were asked; none for the whole library
    answered: bool  # whether `shown` was quoted as the answer; else these were leads
    confidence: float  # as shown, 0 to 1
    shown: tuple[Excerpt, ...]  # best first
    answer: Excerpt | None = None
    reader: str = ""  # the fingerprint of the reader's weights

    @property
    def excerpts(self) -> tuple[Excerpt, ...]:
        return self.shown if self.answer is None else (*self.shown, self.answer)

    def check(self) -> None:
        """Raise FeedbackError unless the values fit together and are of a size to be stored."""
        for is_wrong, reason in self._faults():
            if is_wrong:
                raise FeedbackError(f"this feedback cannot be kept: {reason}")

    def _faults(self) -> Iterator[tuple[bool, str]]:
        texts = [self.question, self.resolved_question, *(each.text for each in self.excerpts)]
        yield self.verdict not in VERDICTS, f"its verdict is none of {', '.join(VERDICTS)}"
        yield (
            (self.verdict == "answer_here") != (self.answer is not None),
            "the verdict answer_here needs a sentence, and no other has one",
        )
        yield not self.question.strip(), "its question is blank"
        yield not 0 <= self.confidence <= 1, "its confidence lies outside 0 to 1"
        yield len(self.shown) > MAX_SHOWN, f"it shows more than {MAX_SHOWN} quotes"
        yield len(self.documents) > MAX_DOCUMENTS, f"it names more than {MAX_DOCUMENTS:,} documents"
        yield (
            any(len(text) > MAX_TEXT_CHARS for text in texts),
            f"a text has over {MAX_TEXT_CHARS:,} characters",
        )
        yield len(self.reader) > MAX_FINGERPRINT_CHARS, "its reader has too long a name"
        yield any(map(_has_lone_surrogate, texts)), "a text holds half of a character (a lone surrogate)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord(Feedback):
    """Feedback as it was stored."""

    number: int  # from 1, in the order in which it was given
    given: str  # ISO 8601, UTC
    quoth: str  # version
    model: str  # the embedding model's fingerprint


def _has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
