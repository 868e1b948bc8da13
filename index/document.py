"""A document: normalised text and its structure by offset. Pure values, no I/O.

All offsets are Python string offsets into `Document.text`, half-open. They are computed once, here and
in the parsers, and travel to the screen unchanged: nobody looks a quote up again with `str.find`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from index.sentences import sentence_spans

BlockKind = Literal[
    "paragraph",
    "list_item",
    "question",
    "answer",
    "quotation",
    "code",
    "table_header",
    "table_row",
    "cue",
    "metadata",  # reading time, byline, link line: quoted only when asked for
    "boilerplate",  # an invitation to click, share or subscribe: shown in place, never quoted
]
PartKind = Literal["title", "heading"] | BlockKind

UNQUOTABLE: frozenset[BlockKind] = frozenset({"question", "table_header", "boilerplate"})

INTRODUCTION = "Introduction"


@dataclass(frozen=True, slots=True)
class Part:
    """What a parser found in the text, in order of `start`; parts do not overlap.

    `start:end` is the content without its label (bullet, number, "Q:"); the label, if any, is
    `label_start:start`. `level` counts for headings (1 = outermost). `context` is the index of the
    earlier part without which this one is not understood: an answer's question, a table row's header.
    """

    kind: PartKind
    start: int
    end: int
    level: int = 0
    label_start: int | None = None
    context: int | None = None

    @property
    def outer_start(self) -> int:
        """Where the part begins, its label included."""
        return self.start if self.label_start is None else self.label_start


@dataclass(frozen=True, slots=True)
class Place:
    """Where the text from `start` on, up to the next place, stands in its source: "p. 4", "12:31"."""

    start: int
    label: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parser's result: the normalised text and its parts."""

    text: str
    parts: tuple[Part, ...]
    title: str | None = None  # from metadata (front matter), where there is some
    places: tuple[Place, ...] = ()  # in order of `start`, where the format has pages or times


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it up to the next heading of any level.

    Sections follow one another and cover the text from the first block on. Text before the first
    heading is a section with an empty heading range.
    """

    heading: str
    level: int
    path: tuple[str, ...]  # headings, outermost first, this one last; never empty
    start: int
    end: int
    heading_start: int
    heading_end: int


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list item, question, answer, …: `start:end` without its label (`label_start:start`)."""

    kind: BlockKind
    start: int
    end: int
    section: int  # index into Document.sections
    label_start: int
    context: int | None = None  # index into Document.blocks: an answer's question, a row's header

    @property
    def quotable(self) -> bool:
        return self.kind not in UNQUOTABLE


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence (of prose), line (of code) or row (of a table)."""

    start: int
    end: int
    block: int  # index into Document.blocks


@dataclass(frozen=True)
class Document:
    """Normalised text (no byte order mark, `\\n` line ends) with its structure.

    `id` is derived from the source's bytes alone, so the same content has the same id everywhere.
    """

    id: str
    title: str
    text: str
    sections: tuple[Section, ...]
    blocks: tuple[Block, ...]
    sentences: tuple[Sentence, ...]
    name: str = ""  # file name that it came with
    places: tuple[Place, ...] = ()  # in order of `start`; none where the format knows no pages or times

    def place_of(self, offset: int) -> str | None:
        """The page or time that this offset stands at, as a citation names it."""
        number = bisect_right(self.places, offset, key=lambda place: place.start)
        return self.places[number - 1].label if number else None

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [sentence.start for sentence in self.sentences]

    def sentence_index(self, offset: int) -> int:
        """Index of the last sentence that starts at or before `offset` (-1 when there is none)."""
        return bisect_right(self._sentence_starts, offset) - 1

    def block_of(self, sentence: int) -> Block:
        return self.blocks[self.sentences[sentence].block]

    def section_of(self, sentence: int) -> Section:
        return self.sections[self.block_of(sentence).section]

    def sentence_counts(self) -> list[int]:
        """For every section, how many sentences it holds without those of its subsections."""
        counts = Counter(self.blocks[sentence.block].section for sentence in self.sentences)
        return [counts[number] for number in range(len(self.sections))]

    def sentences_between(self, start: int, end: int) -> range:
        """Indices of the sentences that overlap `start:end`."""
        first = max(self.sentence_index(start), 0)
        if self.sentences and self.sentences[first].end <= start:
            first += 1
        return range(first, max(first, self.sentence_index(max(start, end - 1)) + 1))


def assemble(parsed: Parsed, *, document_id: str, name: str) -> Document:
    """Parts become sections, blocks and sentences.

    Raises ValueError when the parts overlap or leave the text: that is a defect of the parser.
    """
    check_parts(parsed)
    title = _title(parsed, name)
    sections, blocks = _sections_and_blocks(parsed, title)
    sentences = tuple(
        Sentence(start, end, number)
        for number, block in enumerate(blocks)
        for start, end in sentence_spans(parsed.text, block.start, block.end, by_line=block.kind == "code")
    )
    return Document(document_id, title, parsed.text, sections, blocks, sentences, name, parsed.places)


def check_parts(parsed: Parsed) -> None:
    """Raise ValueError unless the parts are ordered, disjoint, inside the text and cover all of it, and the
    places are ordered and inside it.
    """
    starts = [place.start for place in parsed.places]
    if any(not 0 <= start <= len(parsed.text) for start in starts) or starts != sorted(set(starts)):
        raise ValueError(f"places {starts} are not in order or leave the text")
    at = 0
    for part in parsed.parts:
        start = part.outer_start
        if not at <= start <= part.start < part.end <= len(parsed.text):
            raise ValueError(f"part {part} overlaps the one before it, is empty or leaves the text")
        if parsed.text[at:start].strip():
            raise ValueError(f"text {parsed.text[at:start]!r} before {part} belongs to no part")
        at = part.end
    if parsed.text[at:].strip():
        raise ValueError(f"text {parsed.text[at:]!r} at the end belongs to no part")


def _title(parsed: Parsed, name: str) -> str:
    titles = (one_line(parsed.text[part.start : part.end]) for part in parsed.parts if part.kind == "title")
    return parsed.title or next(titles, "") or name or "Untitled"


def nearest_occurrence(text: str, sought: str, near: int) -> int | None:
    """Where the sought piece begins in the text: at `near`, or where it stands closest to that, or None."""
    if text.startswith(sought, near):
        return near
    starts = (match.start() for match in re.finditer(re.escape(sought), text))
    return min(starts, key=lambda start: abs(start - near), default=None)


def one_line(text: str) -> str:
    """The text with every run of white space as one space: for headings, titles and terminals."""
    return " ".join(text.split())


def _sections_and_blocks(parsed: Parsed, title: str) -> tuple[tuple[Section, ...], tuple[Block, ...]]:
    has_headings = any(part.kind == "heading" for part in parsed.parts)
    root = INTRODUCTION if has_headings else title
    sections: list[Section] = []
    blocks: list[Block] = []
    block_of_part: dict[int, int] = {}
    path: list[tuple[int, str]] = []  # (level, heading) of the open sections
    for number, part in enumerate(parsed.parts):
        if part.kind == "title":
            continue
        if part.kind == "heading":
            heading = one_line(parsed.text[part.start : part.end])
            path = [entry for entry in path if entry[0] < part.level] + [(part.level, heading)]
            sections.append(_open_section(part, heading, tuple(text for _, text in path)))
            continue
        start = part.outer_start
        if not sections:
            sections.append(Section(root, 0, (root,), start, start, start, start))
        context = None if part.context is None else block_of_part.get(part.context)
        block_of_part[number] = len(blocks)
        blocks.append(Block(part.kind, part.start, part.end, len(sections) - 1, start, context))
    return _close_sections(sections, len(parsed.text)), tuple(blocks)


def _open_section(part: Part, heading: str, path: tuple[str, ...]) -> Section:
    start = part.outer_start
    return Section(heading, part.level, path, start, start, part.start, part.end)


def _close_sections(sections: Sequence[Section], end: int) -> tuple[Section, ...]:
    ends = [section.start for section in sections[1:]] + [end]
    return tuple(replace(section, end=until) for section, until in zip(sections, ends, strict=True))
