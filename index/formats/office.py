"""Paragraphs of a word processor's document → pieces: what DOCX, ODT and RTF share.

Their styles have names that say what a paragraph is; Word and LibreOffice write the English ones whatever
language they speak to their user.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from index.document import Parsed, one_line
from index.formats.inline import InlineLine, Run, join_lines, lines_of
from index.formats.pieces import Cell, PieceList, compose

Role = Literal["title", "metadata", "heading", "quotation", "code", "contents"]

MAX_LIST_LEVEL = 20
"""Deeper lists are shown as if they were no deeper than this."""

MAX_MARKER_CHARS = 20
"""A longer marker of a list item is cut."""

MAX_STYLE_CHAIN = 20
"""A style is based on another, and that on a third, no further than this."""

_HEADING_STYLE = re.compile(r"heading (\d)")
_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("title", re.compile(r"title")),
    ("metadata", re.compile(r"subtitle|author|date")),
    ("contents", re.compile(r"toc .*|contents( \d+| heading)?|table of contents")),
    ("quotation", re.compile(r"(intense |block )?quot(e|es|ation|ations)|block text")),
    ("code", re.compile(r"(source |program )?(code|listing)|(html )?preformatted( text)?|macro text")),
)

_BULLETS = "•◦▪‣●○■□·–✓✔➤►→"
_MARKER = re.compile(
    rf"\s*(?:([{_BULLETS}*+-]|\(?(?:\d{{1,3}}|[a-z]|[ivx]{{2,4}})[.)])\s*\t|([{_BULLETS}])\s)\s*"
)

# What a program calls a document before its author does.
_NO_TITLE = re.compile(r"microsoft word\b.*|(document|untitled) ?\d*|.*\.(docx?|dotx?|odt|rtf|tex|pdf)")


class Style(NamedTuple):
    """What a paragraph is by its style."""

    role: Role | None = None
    level: int = 0  # of a heading, 1 is outermost


class Item(NamedTuple):
    """A paragraph's place in a list."""

    level: int  # 0 is outermost
    marker: str  # "" for a further paragraph of the item before


class Row(NamedTuple):
    cells: Sequence[Cell]
    header: bool


def style_called(name: str) -> Style | None:
    """What a style with this name says; None when it says nothing."""
    name = one_line(name.replace("_20_", " ")).casefold()
    if heading := _HEADING_STYLE.fullmatch(name):
        return Style("heading", int(heading[1]))
    return next((Style(role) for role, pattern in _ROLES if pattern.fullmatch(name)), None)


class Flow:
    """Collects the paragraphs, tables and notes of a document, in order."""

    def __init__(self) -> None:
        self._pieces = PieceList()
        self._front = 0  # how many pieces stand before the text: titles and metadata
        self._code: list[str] = []  # lines of the open block of code
        self._notes: list[tuple[str, Sequence[Sequence[Run]]]] = []  # since the last heading

    def paragraph(
        self, runs: Sequence[Run], style: Style | None = None, item: Item | None = None, indent: int = 0
    ) -> None:
        """A paragraph, heading, list item, …; a heading's number is part of it.

        `indent` is the level of a list item whose bullet was typed by hand.
        """
        role = style.role if style else None
        if role == "code":
            self._code.append("".join(run.text for run in runs))
            return
        self._end_code()
        if item is None and role is None:
            runs, item = _split_marker(runs, indent)
        lines = lines_of(runs)
        if role == "quotation":  # whose type is that of its style
            lines = [replace(line, strong=False, set_off=False, opening="") for line in lines]
        match role:
            case "contents":
                pass
            case "heading":
                number = f"{item.marker} " if item and item.marker not in ("", "-") else ""
                self._heading(number + join_lines(lines), style.level if style else 1)
            case "title":
                self._title(join_lines(lines))
            case "metadata" if self._is_on_top():
                self._pieces.metadata(join_lines(lines))
                self._front = len(self._pieces.pieces)
            case _:
                self._body(lines, item, quoted=role == "quotation")

    def note(self, mark: str, paragraphs: Sequence[Sequence[Run]]) -> None:
        """A footnote or endnote; it stands at the end of the section that refers to it."""
        self._notes.append((mark, paragraphs))

    def table(self, rows: Sequence[Row]) -> None:
        self._end_code()
        self._pieces.lists = 0
        self._pieces.open_table()
        for row in rows:
            self._pieces.row(row.cells, header=row.header)
        self._pieces.close_table()

    def end(self, title: str | None) -> Parsed:
        """The document; `title` is what its properties say, unless its text has one."""
        self._end_code()
        self._end_notes()
        title = one_line(title or "")
        parsed = compose(
            self._pieces.pieces, None if _NO_TITLE.fullmatch(title.casefold()) else title or None
        )
        shown = any(part.kind == "title" for part in parsed.parts)
        return replace(parsed, title=None) if shown else parsed

    def _heading(self, text: str, level: int) -> None:
        if text.strip():
            self._end_notes()
            self._pieces.lists = 0
            self._pieces.heading(text, level)

    def _title(self, text: str) -> None:
        """A title in the middle of a document is that of a part of it."""
        if self._is_on_top():
            self._pieces.title(text)
            self._front = len(self._pieces.pieces)
        else:
            self._heading(text, 0)

    def _is_on_top(self) -> bool:
        return len(self._pieces.pieces) == self._front

    def _body(self, lines: Sequence[InlineLine], item: Item | None, *, quoted: bool) -> None:
        depth = 1 + min(item.level, MAX_LIST_LEVEL) if item else 0
        if lines and depth != self._pieces.lists:
            self._pieces.lists = depth
        if item:
            self._pieces.open_item(item.marker[:MAX_MARKER_CHARS])
        self._pieces.quotes = int(quoted)
        self._pieces.paragraph(lines)
        self._pieces.close_item()

    def _end_code(self) -> None:
        if self._code:
            self._pieces.lists = 0
            self._pieces.code("\n".join(self._code).strip("\n"))
            self._code = []

    def _end_notes(self) -> None:
        if self._notes:
            self._pieces.lists = self._pieces.quotes = 0
        for mark, paragraphs in self._notes:
            self._pieces.open_note(mark)
            for runs in paragraphs:
                self._pieces.paragraph(lines_of(runs))
            self._pieces.close_item()
        self._notes = []


def _split_marker(runs: Sequence[Run], level: int) -> tuple[Sequence[Run], Item | None]:
    """Take off a bullet or number that was typed by hand, with a tab after it."""
    typed = _MARKER.match(runs[0].text) if runs else None
    if typed is None:
        return runs, None
    marker = typed[1] if typed[1] and typed[1] not in _BULLETS else "-"
    return [runs[0]._replace(text=runs[0].text[typed.end() :]), *runs[1:]], Item(level, marker)
