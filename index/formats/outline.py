"""What the bare lines of a plain text are: its title, the lines around the title, its headings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from index.formats.headings import (
    GENERIC,
    chains,
    choose,
    has_heading_form,
    is_title,
    levels,
    likely_headings,
    rank,
)
from index.formats.lines import Item, Page, ends_sentence
from index.formats.notices import notices
from index.formats.transcript import opens_with_time

MAX_TITLE_CHARS = 120
MAX_TITLE_WORDS = 20
MAX_MASTHEAD_CHARS = 160

_KEY_VALUE = re.compile(r"[^\W\d_][\w .’'-]{0,24}:\s+\S")
_BYLINE = re.compile(r"(?:(?:[Aa]n?\s+)?[\w’'-]+\s+){0,3}[Bb][Yy]\s+[^\W\d_a-z]")
_DIVIDED = re.compile(r"\S\s[|·•]\s\S")
_ISSUE = re.compile(
    r".*(?:\b(?:issue|no\.|vol\.|volume|edition|episode)\s*\d+|#\s*\d+)(?:,\s[\w\s]{1,20})?", re.IGNORECASE
)
_NUMBERED = re.compile(r"\d+(?:\.\d+)+\.?\s")


@dataclass(frozen=True, slots=True)
class Outline:
    """What some items are, by index: the title, lines around it (byline, date, subtitle), headings."""

    title: int | None = None
    masthead: frozenset[int] = frozenset()
    levels: dict[int, int] = field(default_factory=dict)  # of headings; 1 is the outermost

    def has_role(self, number: int) -> bool:
        return number == self.title or number in self.masthead or number in self.levels


def find_outline(page: Page) -> Outline:
    """Find the title, the lines around it and the headings of a plain text."""
    explicit = [number for number, item in enumerate(page.items) if item.kind == "heading"]
    likely = likely_headings(page) if len(explicit) < 2 else [False] * len(page.items)
    front = _front_length(page)
    title = _title(page, front)
    if title is None:
        front = 0
        if is_title([page.items[number].level for number in explicit]):
            title = explicit.pop(0)
    credit_lines = _credits(page) if title == 0 and not front else range(0)
    bare = [
        number for chain in chains(page, likely, front or credit_lines.stop) for number in choose(page, chain)
    ]
    if title is not None and front:
        bare += _front_headings(page, likely, title, front)
    headings = sorted({*bare, *explicit})
    masthead = {number for number in range(front) if _is_front_line(page, number)} - {title, *headings}
    return Outline(title, frozenset(masthead | set(credit_lines)), levels(page, headings))


def _credits(page: Page) -> range:
    """The byline, date and other such lines right below an explicit title."""
    end = 1
    while end < len(page.items) and _is_short_line(page.items[end]) and is_credit(page.content(end)):
        end += 1
    return range(1, end) if end < len(page.items) else range(0)


def _front_length(page: Page) -> int:
    """How many items stand before the first prose, list or explicit heading; 0 when nothing follows them.

    When the lines at the very top are all short, they are what stands on a title page, sentences or not.
    """
    top = 1
    while top < len(page.items) and not page.starts_block(top):
        top += 1
    if top == len(page.items) or not all(_is_short_line(item) for item in page.items[:top]):
        top = 0
    for number in range(len(page.items)):
        if number >= top and not _is_front_line(page, number):
            return number
    return 0


def _is_short_line(item: Item) -> bool:
    return (
        item.kind in ("plain", "number") and item.lines == 1 and item.end - item.start <= MAX_MASTHEAD_CHARS
    )


def _is_front_line(page: Page, number: int) -> bool:
    item = page.items[number]
    return (
        _is_short_line(item) and not opens_with_time(page.content(number)) and _looks_like_front(page, number)
    )


def _looks_like_front(page: Page, number: int) -> bool:
    item = page.items[number]
    return (
        not ends_sentence(page.text, item.start, item.end)
        or has_heading_form(page, number)
        or is_credit(page.content(number))
        or all(kind for kind, _, _ in notices(page.text, item.start, item.end))
    )


def is_credit(line: str) -> bool:
    """Is a line at the top a byline, keys and values, parts divided by dots or bars, or a masthead?"""
    return (
        _BYLINE.match(line) is not None
        or _ISSUE.fullmatch(line) is not None
        or _KEY_VALUE.match(line) is not None
        or _DIVIDED.search(line) is not None
    )


def _title(page: Page, front: int) -> int | None:
    """The line right above a byline, or else the first that has the form of a title."""
    named = [number for number in range(front) if _can_be_title(page, number)]
    if not named:
        return None
    for number in named:
        if number > named[0] and page.starts_block(number):
            break
        if number + 1 < front and not page.starts_block(number + 1) and _is_byline(page, number + 1):
            return number
    return _title_below_masthead(page, named) if _is_masthead(page, named[0]) else named[0]


def _can_be_title(page: Page, number: int) -> bool:
    content = page.content(number)
    return (
        page.items[number].kind == "plain"
        and has_heading_form(page, number, MAX_TITLE_CHARS, MAX_TITLE_WORDS)
        and content.casefold() not in GENERIC
        and not _NUMBERED.match(content)
        and not _is_byline(page, number)
    )


def _is_byline(page: Page, number: int) -> bool:
    return _BYLINE.match(page.content(number)) is not None


def _is_masthead(page: Page, number: int) -> bool:
    """The name of a periodical with the number of the issue: "THE LONG SIGNAL · Issue 118"."""
    return _ISSUE.fullmatch(page.content(number)) is not None


def _title_below_masthead(page: Page, named: Sequence[int]) -> int:
    """The title of the issue: right below its number in title case, or next, alone and of three words."""
    masthead, *others = named
    if others and not _is_masthead(page, others[0]):
        words = page.content(others[0]).split()
        alone = page.starts_block(others[0])
        if len(words) >= 3 if alone else others[0] == masthead + 1 and _is_title_case(words):
            return others[0]
    return masthead


def _is_title_case(words: Sequence[str]) -> bool:
    long = [word for word in words if len(word) > 3]
    return sum(word[0].isupper() for word in long) > 0.7 * len(long)


def _front_headings(page: Page, likely: Sequence[bool], title: int, front: int) -> list[int]:
    """The headings between the title and the first prose: the last line or two, if not beside the title."""
    first = front
    while first - 1 > title and likely[first - 1] and not is_credit(page.content(first - 1)):
        first -= 1
    beside = title + 1
    while beside < front and not page.starts_block(beside):
        beside += 1
    if page.starts_block(front):
        first = max(first, beside)
    headings = choose(page, range(first, front))
    apart = len(headings) == 2 and page.starts_block(headings[1])
    if apart and rank(page, headings[0]) >= rank(page, headings[1]):
        return headings[1:]  # the other is a subtitle
    return headings
