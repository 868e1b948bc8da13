"""Which bare lines of a plain text are headings, and how deep each of them is.

Nothing in plain text says "heading", so general habits of writing decide: a heading is one short line that
does not end like a sentence and is followed by what it heads. Two in a row are a heading and the one below
it; one that repeats under others ("Digging Deeper") belongs below them; capitals stand above the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from index.document import one_line
from index.formats.labels import name_of
from index.formats.lines import Page, ends_sentence
from index.formats.notices import notices
from index.formats.parts import ornament_end

MAX_HEADING_CHARS = 80
MAX_HEADING_WORDS = 14

# A first heading that is called so does not name the document.
GENERIC = frozenset(
    "abstract background contents foreword highlights introduction overview preface summary".split()
)

_OPENINGS = frozenset("“‘«„\"'([¿¡…$€£")
_LETTER = re.compile(r"[^\W\d_]")
# "It rained. Then" but not "Dr. Who", "St. Ives".
_SENTENCE_INSIDE = re.compile(r"[^\W\d_]{4,}\.[\"'”’)]*\s+\S")
_LABELLED_QUESTION = re.compile(r"[^\W\d_][^\W\d]*(?:\s[^\W\d]+){0,2}:\s(?:\S+\s+){4,}\S+\?")
_DECIMAL_NUMBER = re.compile(r"(\d+(?:\.\d+)+)\.?\s")
# A row of a table ("BUGS    known ones"); "CHAPTER I    The mill" is none.
_COLUMNS = re.compile(r"(?!(?:[^\W\d_]+ )?[\dIVXLC]+[.:)]?\s)[^\t\n]*?\S(?: {3,}|\t+)\S")
# "It is a port of the" is the beginning of a sentence; "What it is made of" may be a heading.
_UNFINISHED = re.compile(r".*\s(?:an?|the|and|or|than)")
_BRACKETED = re.compile(r"\(.*?\)")
_LONG_WORD = re.compile(r"[^\W\d_]{4,}")
_FEW_LETTERS = re.compile(r"[^\W\d_].*[^\W\d_]")

# Ranks of headings: 1 to 6 are explicit levels ("## …"); below those stand bare lines.
_CAPITALS_RANK = 7
_PLAIN_RANK = 8  # plus one for every dot inside its number

Key = tuple[int, bool]  # rank, and whether the heading stands below those of its rank


def is_title(levels: Sequence[int]) -> bool:
    """Is the first of these headings the title? Yes when no other stands as far out as it does."""
    return bool(levels) and all(level > levels[0] for level in levels[1:])


def has_heading_form(
    page: Page, number: int, max_chars: int = MAX_HEADING_CHARS, max_words: int = MAX_HEADING_WORDS
) -> bool:
    """Does an item look like a heading, wherever it stands?"""
    item = page.items[number]
    if item.kind not in ("plain", "number") or item.lines > 1 or item.end - item.label_start > max_chars:
        return False
    start = ornament_end(page.text, item.start, item.end)
    content = page.text[start : item.end]
    return (
        (content[0].isalnum() or content[0] in _OPENINGS)
        and not content[0].islower()
        and content[-1] not in ",;"
        and _LETTER.search(content) is not None
        and (content.rstrip("\"'”’»)]")[-1:] in ("?", "!") or not ends_sentence(content, 0, len(content)))
        and len(content.split()) <= max_words
        and not _SENTENCE_INSIDE.search(content)
        and not _LABELLED_QUESTION.fullmatch(content)
        and not _COLUMNS.match(content)
        and not _UNFINISHED.fullmatch(content)
        and all(kind is None for kind, _, _ in notices(content, 0, len(content)))
    )


def likely_headings(page: Page) -> list[bool]:
    """Which items have the form of a heading and stand where one could."""
    form = [has_heading_form(page, number) for number in range(len(page.items))]
    likely: list[bool] = []
    for number in range(len(page.items)):
        likely.append(
            form[number]
            and not _goes_on(page, form, number)
            and not _is_dialogue(page, number)
            and not _in_verse(page, form, number)
            and not _is_listed(page, likely, number)
            and _heads_more_than_a_line(page, form, number)
        )
    return likely


def _goes_on(page: Page, form: Sequence[bool], number: int) -> bool:
    """Did the prose right above break off in mid-sentence?"""
    if number == 0 or page.starts_block(number) or form[number - 1] or page.items[number - 1].kind != "plain":
        return False
    above = page.content(number - 1)
    breaks_off = above[-1].isalnum() or above[-1] in ",:"
    return breaks_off and any(kind is None for kind, _, _ in notices(above, 0, len(above)))


def _is_dialogue(page: Page, number: int) -> bool:
    """Two speakers' turns, one right below the other."""
    pair = page.items[number : number + 2]
    return (
        len(pair) == 2
        and not pair[1].after_blank
        and all(name_of(page.content(place)) for place in (number, number + 1))
    )


def _in_verse(page: Page, form: Sequence[bool], number: int) -> bool:
    """Three or more short lines on end are verse, an address or a table."""

    def is_line(other: int) -> bool:
        return 0 <= other < len(form) and form[other] and page.items[other].kind == "plain"

    first = last = number
    while number - first < 2 and is_line(first - 1) and not page.starts_block(first):
        first -= 1
    while last - number < 2 and is_line(last + 1) and not page.starts_block(last + 1):
        last += 1
    return last - first >= 2


def _is_listed(page: Page, likely: Sequence[bool], number: int) -> bool:
    """A numbered line beside another is a list item; "(a)" may stand below the heading "3."."""
    form = _number_form(page, number)
    if form is None:
        return False
    after_item = number > 0 and _number_form(page, number - 1) == form and not likely[number - 1]
    before_item = number + 1 < len(page.items) and _number_form(page, number + 1) == form
    return after_item or before_item


def _number_form(page: Page, number: int) -> str | None:
    """ "12. " as "0.", "(b) " as "(a)"; None when the item has no number."""
    item = page.items[number]
    if item.kind != "number":
        return None
    label = page.text[item.label_start : item.start].strip()
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", label))


def _heads_more_than_a_line(page: Page, form: Sequence[bool], number: int) -> bool:
    """With prose right below it, a heading is clearly the shorter of the two; a line of verse is not."""
    if number + 1 == len(form) or form[number + 1]:
        return True
    item, body = page.items[number], page.items[number + 1]
    if body.after_blank or body.kind != "plain":
        return True
    length = body.end - body.start
    return length >= 100 or length >= 1.5 * (item.end - item.label_start)


def chains(page: Page, likely: Sequence[bool], start: int) -> Iterator[range]:
    """Runs of consecutive likely headings, from item `start` on, that something follows."""
    first = start
    for number in range(start, len(likely)):
        if not likely[number]:
            if first < number and page.items[number].kind != "heading":
                yield range(first, number)
            first = number + 1


def choose(page: Page, chain: range) -> list[int]:
    """The headings of a chain: all when each ranks below the one before it, else the last or last two."""
    ranks = [rank(page, number) for number in chain]
    if len(chain) <= 2 or ranks == sorted(set(ranks)):
        return list(chain)
    return list(chain[-1:] if page.starts_block(chain[-1]) else chain[-2:])


def rank(page: Page, number: int) -> int:
    """How far out a heading stands by its form alone; 1 is outermost."""
    item = page.items[number]
    if item.level:
        return item.level
    heading = _BRACKETED.sub("", page.text[item.label_start : item.end])
    if _LONG_WORD.search(heading) and heading == heading.upper() != heading.lower():
        return _CAPITALS_RANK
    decimal = _DECIMAL_NUMBER.match(heading)
    return _PLAIN_RANK + (decimal[1].count(".") if decimal else 0)


def levels(page: Page, headings: Sequence[int]) -> dict[int, int]:
    """The level of each heading, by item: 1 is outermost, and none is more than one below the one before."""
    names = [_name(page, number) for number in headings]
    ranks = [rank(page, number) for number in headings]
    repeated = _repeated_below_others(names)
    has_capitals = _CAPITALS_RANK in ranks
    keys: list[Key] = []
    for place, number in enumerate(headings):
        explicit = page.items[number].level > 0
        own = ranks[place]
        if own == _PLAIN_RANK and has_capitals and _is_short_capitals(names[place]):
            own = _CAPITALS_RANK
        right_below = place > 0 and headings[place - 1] == number - 1 and keys[-1] == (own, False)
        keys.append((own, not explicit and (right_below or names[place] in repeated)))
    return dict(zip(headings, nest(keys), strict=True))


def _name(page: Page, number: int) -> str:
    item = page.items[number]
    return one_line(page.text[ornament_end(page.text, item.label_start, item.end) : item.end])


def _is_short_capitals(name: str) -> bool:
    """ "FAQ" and "Q&A" are written so anywhere: among headings in capitals, they are one."""
    return name == name.upper() and _FEW_LETTERS.search(name) is not None


def _repeated_below_others(names: Sequence[str]) -> frozenset[str]:
    """Headings that occur again and again with others between them."""
    adjacent = {name for name, following in pairwise(names) if name == following}
    return frozenset(name for name, count in Counter(names).items() if count > 1) - adjacent - set(names[:1])


def nest(keys: Sequence[Key]) -> Iterator[int]:
    """Depth of each heading below those before it that stand further out (smaller keys); 1 is outermost."""
    path: list[Key] = []
    for key in keys:
        while path and path[-1] >= key:
            path.pop()
        path.append(key)
        yield len(path)
