"""The numbers of DOCX's list items and headings, which are not written in its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from index.formats.numbering import numeral
from index.formats.office import MAX_MARKER_CHARS, Item
from index.formats.xml import Element, attribute, integer

LEVELS = 9
"""As many levels as lists and headings have."""

_NUMERALS = {"lowerLetter": "a", "upperLetter": "A", "lowerRoman": "i", "upperRoman": "I"}
_PLACEHOLDER = re.compile(r"%([1-9])")


class _Level(NamedTuple):
    """How the items of one level of a list are numbered."""

    start: int
    form: str  # "bullet", "decimal", "lowerLetter", …
    text: str  # "%1.%2)"


_BULLET = _Level(1, "bullet", "-")


class _List(NamedTuple):
    definition: str | None
    levels: dict[int, _Level]  # that it says itself, as its definition does
    overrides: dict[int, int]  # where its levels begin anew


class Numbering:
    """Counts the items of all lists as Word does: level by level, by the definition that lists share."""

    def __init__(self, part: Sequence[Element]) -> None:
        definitions = [element for element in part if element.tag == "abstractNum"]
        linked = {name: element for element in definitions if (name := value_of(element, "styleLink"))}
        self._definitions = {
            attribute(element, "abstractNumId"): _levels(
                linked.get(value_of(element, "numStyleLink") or "", element)
            )
            for element in definitions
        }
        self._lists = {
            attribute(element, "numId"): _list(element) for element in part if element.tag == "num"
        }
        self._counts: dict[str | None, list[int | None]] = {}  # by definition
        self._begun: set[tuple[str, int]] = set()  # levels of lists that have had an item

    def item(self, list_id: str, level: int) -> Item | None:
        """The next item of a list; None when there is no such list."""
        numbered = self._lists.get(list_id)
        if numbered is None or numbered.definition not in self._definitions:
            return None
        level = min(max(level, 0), LEVELS - 1)
        levels = self._definitions[numbered.definition] | numbered.levels
        counts = self._counts.setdefault(numbered.definition, [None] * LEVELS)
        before = counts[level]
        if level in numbered.overrides and (list_id, level) not in self._begun:
            counts[level] = numbered.overrides[level]
        else:
            counts[level] = levels.get(level, _BULLET).start if before is None else before + 1
        self._begun.add((list_id, level))
        counts[level + 1 :] = [None] * (LEVELS - level - 1)
        return Item(level, _marker(counts, levels, level))


def _marker(counts: Sequence[int | None], levels: dict[int, _Level], level: int) -> str:
    own = levels.get(level, _BULLET)
    if own.form == "bullet":
        return "-" if own.text.strip() else ""

    def number(match: re.Match[str]) -> str:
        place = int(match[1]) - 1
        of = levels.get(place, own)
        count = counts[place]
        return numeral(of.start if count is None else count, _NUMERALS.get(of.form, "1"))

    return "" if own.form == "none" else _PLACEHOLDER.sub(number, own.text).strip()


def _list(element: Element) -> _List:
    overrides = (
        (integer(attribute(level, "ilvl")), integer(value_of(level, "startOverride")))
        for level in element.iterchildren("lvlOverride")
    )
    begun = {level: start for level, start in overrides if level is not None and start is not None}
    return _List(value_of(element, "abstractNumId"), _levels(element), begun)


def _levels(parent: Element) -> dict[int, _Level]:
    """The levels that a definition, or a list that departs from it, says itself."""
    return {
        min(integer(attribute(level, "ilvl")) or 0, LEVELS): _Level(
            1 if (start := integer(value_of(level, "start"))) is None else start,
            value_of(level, "numFmt") or "decimal",
            (value_of(level, "lvlText") or "")[:MAX_MARKER_CHARS],
        )
        for level in parent.iter("lvl")
    }


def value_of(parent: Element | None, name: str) -> str | None:
    """The value of a property."""
    return None if parent is None else attribute(parent.find(name), "val")
