"""Plain text → items: a paragraph, list item, question, answer or possible heading each, by offset.

Whether one line is one paragraph (as newsletters paste) or paragraphs are wrapped at a column (as e-mail and
README files are) is decided per file, by `wrap_width`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import or_
from typing import Literal, NamedTuple

from index.formats.labels import ANSWER, QUESTION, name_of, read_turns

ItemKind = Literal["plain", "heading", "quotation", "question", "answer", "bullet", "number", "turn", "field"]


class Line(NamedTuple):
    """A line that is not blank: `start:end` without the white space around it."""

    start: int
    end: int
    column: int  # how far it is indented
    after_blank: bool  # the first line, or one after a blank line or a rule
    quoted: bool = False  # a further line of a quotation, whose ">" is gone
    level: int = 0  # of a heading: 1 underlined with "===", 2 with "---", …, or the number of "=" around it


class Item(NamedTuple):
    """One line, or several that wrapping divided; `start:end` is the content after its label, if any."""

    kind: ItemKind
    label_start: int
    start: int
    end: int
    after_blank: bool
    lines: int
    level: int = 0  # of an explicit heading ("# …" or underlined), 1 to 6


MAX_UNDERLINED_CHARS = 80

CODE_COLUMN = 4
"""A line with "#" that is indented so far is a comment in code, as in Markdown."""

_RULE = re.compile(r"[-=_*~^#+.·•─━═—–\s]{3,}|--")
_UNDERLINES = "=-~^"  # from the outermost heading inwards
_FENCED = re.compile(r"(={2,6})\s+(\S|\S.*\S)\s+\1")
_QUOTED = re.compile(r"[ \t]*>[> \t]*")
_WORD = re.compile(r"\S+")

_LABEL = re.compile(
    rf"""(?:
        (?P<heading>\#{{1,6}})
      | (?P<question>{QUESTION})
      | (?P<answer>{ANSWER})
      | (?P<bullet>[-*+•◦▪‣●○·–✓✔➤►→])
      | (?P<number>\(?(?:\d{{1,3}}|[a-z]|[ivx]{{2,4}})[.)])
    )[ \t]+(?=\S) | (?P<quotation>>[> \t]*)(?=\S)""",
    re.VERBOSE,
)

_TERMINALS = frozenset(".!?…;:。！？؟।")
_CLOSERS = frozenset("\"'”’»)]*_")


@dataclass(frozen=True, slots=True)
class Page:
    """A plain text as items, in order."""

    text: str
    items: tuple[Item, ...]

    def content(self, number: int) -> str:
        """The text of an item without its label."""
        return self.text[self.items[number].start : self.items[number].end]

    def starts_block(self, number: int) -> bool:
        """Does an item stand after a blank line, or first?"""
        return self.items[number].after_blank


def marker_end(line: str) -> int:
    """Where the content of a list item begins, after its bullet or number; 0 when the line is none."""
    label = _LABEL.match(line)
    return label.end() if label and label.lastgroup in ("bullet", "number") else 0


def ends_sentence(text: str, start: int, end: int) -> bool:
    """True when `text[start:end]` ends like a sentence or clause: not with a word, dash or comma."""
    while end > start and text[end - 1] in _CLOSERS:
        end -= 1
    return end > start and text[end - 1] in _TERMINALS


def scan(source: str) -> tuple[str, list[Line]]:
    """The text to keep, and its lines.

    Decoration goes: rules, underlines, "== … ==" around a heading, and the ">" on every line but the first of
    a quotation, so that a sentence that runs on over the line end holds none of it.
    """
    kept: list[str] = []
    lines: list[Line] = []
    at, after_blank, quoted = 0, True, False
    for raw in source.split("\n"):
        quote = _QUOTED.match(raw)
        text = raw[quote.end() :] if quote and quoted else raw
        content = text.strip()
        further, quoted = quote is not None and quoted, quote is not None
        level = 0
        if _RULE.fullmatch(content):
            if lines and not after_blank and _is_underlined(lines[-1], kept[-1], content):
                lines[-1] = lines[-1]._replace(level=_UNDERLINES.index(content[0]) + 1)
            text = content = ""
        elif fence := _FENCED.fullmatch(content):
            text = content = fence[2]
            level = len(fence[1])
        if content:
            column = len(text) - len(text.lstrip())
            start = at + column
            lines.append(Line(start, start + len(content), column, after_blank, further, level))
        after_blank = not content
        kept.append(text)
        at += len(text) + 1
    return "\n".join(kept), lines


def _is_underlined(line: Line, text: str, rule: str) -> bool:
    """Does a line with a rule right below it stand alone and look like a heading?"""
    heading = text.strip().rstrip("?!:")
    short = len(heading) <= MAX_UNDERLINED_CHARS and not ends_sentence(heading, 0, len(heading))
    return line.after_blank and short and rule[0] in _UNDERLINES


def wrap_width(text: str, lines: list[Line]) -> int:
    """The column at which paragraphs are wrapped; 0 when every line is a paragraph of its own.

    Wrapped prose has many lines that break off in mid-sentence, with the next one going on in lower case
    (or in a script without case), and hardly any long line.
    """
    pairs = [
        (line, following)
        for line, following in pairwise(lines)
        if 40 <= line.end - line.start <= 120 and not following.after_blank
    ]
    broken = sorted(
        line.end - line.start + line.column for line, following in pairs if _runs_on(text, line, following)
    )
    long = sum(line.end - line.start > 200 for line in lines)
    if len(broken) < (3 if long else 2) or len(broken) < 0.3 * len(pairs) or long > 0.1 * len(broken):
        return 0
    return broken[int(0.95 * len(broken))]


def _runs_on(text: str, line: Line, following: Line) -> bool:
    return not ends_sentence(text, line.start, line.end) and _starts_small(text, following.start)


def _starts_small(text: str, at: int) -> bool:
    """A lower-case word, or one of a script without case; not "iPhone"."""
    first, second = text[at], text[at + 1 : at + 2]
    return first.isalpha() and not first.isupper() and not second.isupper()


def unwrap(text: str, lines: list[Line]) -> Iterator[Item]:
    """Join the lines that wrapping divided."""
    width = wrap_width(text, lines)
    item: Item | None = None
    last: Line | None = None
    for line in lines:
        fresh = _item(text, line)
        if item and last and fresh.start == line.start and _continues(text, item, last, line, width):
            item = item._replace(end=line.end, lines=item.lines + 1)
        else:
            if item:
                yield item
            item = fresh
        last = line
    if item:
        yield item


def _item(text: str, line: Line) -> Item:
    label = _LABEL.match(text, line.start, line.end)
    if line.level or label is None:
        kind: ItemKind = "heading" if line.level else "quotation" if line.quoted else "plain"
        return Item(kind, line.start, line.start, line.end, line.after_blank, 1, line.level)
    kind = next(name for name in _KINDS if label[name])
    level = len(label["heading"] or "")
    if level and line.column >= CODE_COLUMN:
        return Item("plain", line.start, line.start, line.end, line.after_blank, 1)
    return Item(kind, line.start, label.end(), line.end, line.after_blank, 1, level)


_KINDS: tuple[ItemKind, ...] = ("bullet", "number", "question", "answer", "quotation", "heading")


def _continues(text: str, item: Item, last: Line, line: Line, width: int) -> bool:
    if line.after_blank or line.level or item.kind == "heading":
        return False
    if line.quoted or item.kind == "quotation":
        return line.quoted and item.kind == "quotation"
    if item.kind in ("bullet", "number") and line.column > 0 and line.column >= last.column:
        return True
    if width == 0:
        is_byline = text.startswith("by ", line.start)
        return text[line.start].islower() and _runs_on(text, last, line) and not is_byline
    word = _WORD.match(text, line.start)
    length = last.column + last.end - last.start
    is_full = length + 1 + (word.end() - line.start if word else 0) > width
    breaks_off = length > 0.75 * width and not ends_sentence(text, last.start, last.end)
    return is_full or breaks_off or _runs_on(text, last, line)


def read_page(source: str) -> Page:
    """Divide a plain text into items; they cover every non-space character of the text that is kept."""
    text, lines = scan(source)
    items = _number_questions(text, _comments(list(unwrap(text, lines))))
    return Page(text, tuple(_label_turns(text, list(items))))


def _comments(items: Sequence[Item]) -> list[Item]:
    """Lines with "#", one right below the other, are comments in a configuration, not headings."""
    hashed = [item.kind == "heading" and item.start > item.label_start for item in items]
    below = [
        above and here and not item.after_blank
        for above, here, item in zip([False, *hashed], hashed, items, strict=False)
    ]
    comments = map(or_, below, [*below[1:], False])
    return [
        item._replace(kind="plain", start=item.label_start, level=0) if is_comment else item
        for item, is_comment in zip(items, comments, strict=True)
    ]


def _number_questions(text: str, items: Sequence[Item]) -> Iterator[Item]:
    """Two numbered questions ("1. Does it hurt?") with an answer under each are no headings and no list."""
    numbered = [place for place, item in enumerate(items) if item.kind == "number"]
    asked = {
        place
        for place in numbered
        if text[items[place].end - 1] == "?"
        and items[place + 1 : place + 2]
        and items[place + 1].kind == "plain"
    }
    questions = {place for pair in pairwise(numbered) if asked.issuperset(pair) for place in pair}
    for place, item in enumerate(items):
        yield item._replace(kind="question") if place in questions else item


def _label_turns(text: str, items: Sequence[Item]) -> Iterator[Item]:
    """Tell speakers' turns and the fields of records from other prose."""
    openings = [text[item.start : item.end] if item.kind == "plain" else "" for item in items]
    lines = ["" if _heads_prose(items, openings, place) else line for place, line in enumerate(openings)]
    turns = read_turns(lines)
    for place, item in enumerate(items):
        if place in turns:
            kind, label = turns[place]
            item = item._replace(kind=kind, start=item.start + label)
        yield item


def _heads_prose(items: Sequence[Item], lines: Sequence[str], place: int) -> bool:
    """Does a line stand right above prose without a label, as "From: …" does above a message?"""
    if not items[place].after_blank or place + 1 == len(items) or items[place + 1].after_blank:
        return False
    return items[place + 1].kind == "plain" and name_of(lines[place + 1]) is None
