"""Parts in the making: what every parser shares once it knows what a piece of text is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from index.document import BlockKind, Part
from index.formats.notices import notices

_FIRST_WORD = re.compile(r"([^\w\s]\S{0,11})[ \t]+(?=\S)")

# What an answer consists of: the parts that are understood with the question.
_IN_ANSWER: frozenset[BlockKind] = frozenset({"answer", "list_item", "quotation"})


def ornament_end(text: str, start: int, end: int) -> int:
    """Where the content of `text[start:end]` begins, after the symbol that decorates it, if any.

    A leading "💡 ", "★ " or "⏱️ " is a part's label, not its content.
    """
    word = _FIRST_WORD.match(text, start, end)
    if word is None or unicodedata.category(text[start]) != "So" or text[start] == "©":
        return start
    return start if any(map(str.isalnum, word[1])) else word.end()


class PartList:
    """Collects the parts of `text` in order and ties answers to their questions.

    After a question, paragraphs are its answer until the next question or heading, or `end_answer`.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.parts: list[Part] = []
        self._question: int | None = None  # index of the open question
        self._header: int | None = None  # index of the open table's header

    def title(self, start: int, end: int, label_start: int | None = None) -> None:
        self._add_ornamented(Part("title", start, end, label_start=label_start))

    def heading(self, start: int, end: int, level: int, label_start: int | None = None) -> None:
        """`level` 1 is the outermost."""
        self._question = None
        self._add_ornamented(Part("heading", start, end, level, label_start))

    def question(self, start: int, end: int, label_start: int | None = None) -> None:
        self._question = len(self.parts)
        self.parts.append(Part("question", start, end, label_start=label_start))

    @property
    def has_question(self) -> bool:
        """Is there a question that a paragraph would answer?"""
        return self._question is not None

    def end_answer(self) -> None:
        """What follows answers no question."""
        self._question = None

    def metadata(self, start: int, end: int) -> None:
        """A line about the document: byline, date, subtitle; a call to action in it is boilerplate."""
        self._add_prose("metadata", start, end, None)

    def paragraph(self, start: int, end: int, label_start: int | None = None) -> None:
        """A paragraph, or the answer to the open question; its notices become parts of their own."""
        self._add_prose("answer" if self.has_question else "paragraph", start, end, label_start)

    def list_item(self, start: int, end: int, label_start: int | None = None) -> None:
        """An item, or with no label a further paragraph of one; the next to a question answers it not."""
        if label_start is not None and self._is_beside_question(label_start):
            self.end_answer()
        self._add_prose("list_item", start, end, label_start)

    def quotation(self, start: int, end: int, label_start: int | None = None) -> None:
        self._add_prose("quotation", start, end, label_start)

    def code(self, start: int, end: int, label_start: int | None = None) -> None:
        self._add(Part("code", start, end, label_start=label_start, context=self._question))

    def table_header(self, start: int, end: int) -> None:
        self._header = self._add(Part("table_header", start, end))

    def table_row(self, start: int, end: int) -> None:
        """A row of the table whose header came last, if it has one."""
        self._add(Part("table_row", start, end, context=self._header))

    def end_table(self) -> None:
        """The next row belongs to a table without a header."""
        self._header = None

    def _is_beside_question(self, label: int) -> bool:
        asked = None if self._question is None else self.parts[self._question].label_start
        if asked is None or self._text[asked].isalpha():  # "Q:" is no item
            return False
        return self._text[asked].isdigit() == self._text[label].isdigit()

    def _add_prose(self, kind: BlockKind, start: int, end: int, label_start: int | None) -> None:
        if label_start is None and (content := ornament_end(self._text, start, end)) > start:
            label_start, start = start, content
        runs = notices(self._text, start, end)
        if all(notice for notice, _, _ in runs):
            self.end_answer()
        for notice, first, last in runs:
            context = self._question if notice is None and kind in _IN_ANSWER else None
            self._add(Part(notice or kind, first, last, label_start=label_start, context=context))
            label_start = None

    def _add(self, part: Part) -> int:
        self._header = self._header if part.kind == "table_row" else None
        self.parts.append(part)
        return len(self.parts) - 1

    def _add_ornamented(self, part: Part) -> None:
        content = ornament_end(self._text, part.start, part.end)
        if content > part.start:
            label_start = part.outer_start
            part = replace(part, start=content, label_start=label_start)
        self._add(part)


class Stretch(NamedTuple):
    """A piece of a text in the making: what divides it from the one before, its label, its content."""

    gap: str
    label: str
    content: str


def lay_out(stretches: Sequence[Stretch]) -> tuple[str, list[tuple[int, int]]]:
    """The text that stretches make one after another, and where the content of each stands in it."""
    text: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for number, (gap, label, content) in enumerate(stretches):
        before = (gap if number else "") + label
        spans.append((at + len(before), at + len(before) + len(content)))
        text += [before, content]
        at = spans[-1][1]
    return "".join(text), spans
