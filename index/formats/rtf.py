"""RTF → clean text with its parts.

Read here, since striprtf, the kept parser, gives text alone: no headings, lists, notes or header rows.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Literal, NamedTuple

from index.document import Parsed
from index.errors import UnreadableFileError
from index.formats.inline import Run, join_runs
from index.formats.office import MAX_STYLE_CHAIN, Flow, Item, Style, style_called
from index.formats.rtf_table import Paragraph, Table
from index.formats.rtf_tokens import CHARSETS, tokens

MAX_GROUPS = 10_000
"""Groups nested deeper than this are no text that anybody wrote."""

MAX_TITLE_CHARS = 120
"""A longer line is no title, however it looks."""

MAX_NAME_CHARS = 500
"""Longer names of styles, titles and markers of list items are cut."""

INDENT = 360
"""Twentieths of a point that a list is usually indented by for each level."""

Target = Literal["text", "nothing", "fonts", "styles", "information", "title", "marker", "note", "box"]

_BEGINNING = b"{\\rtf"

# Groups whose text is not the document's, beside all that are marked as optional ("\\*").
_SKIPPED = frozenset(
    "colortbl pict object header headerl headerr headerf footer footerl footerr footerf annotation fldinst "
    "nonesttables nonshppict bkmkstart bkmkend xe tc sp upr pn listtable listoverridetable revtbl "
    "ftnsep ftnsepc aftnsep aftnsepc".split()
)
_READ: dict[str, Target] = {
    "fonttbl": "fonts",
    "stylesheet": "styles",
    "info": "information",
    "listtext": "marker",
    "pntext": "marker",
    "footnote": "note",
    "shptxt": "box",
}
_OPTIONAL = frozenset({"footnote", "shpinst", "nesttableprops"})  # that are read all the same
_PROPERTIES = frozenset(
    "plain b i v deleted f uc pard s sbasedon outlinelevel li ilvl qc intbl fcharset deff ansi mac pc pca "
    "ansicpg title trowd clbrdrb trhdr clvmrg cellx".split()
)
_ENCODINGS = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
_CHARACTERS = {
    "tab": "\t",
    "line": "\n",
    "lbr": "\n",
    "page": " ",
    "column": " ",
    "emdash": "—",
    "endash": "–",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "bullet": "•",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "~": "\u00a0",
    "_": "\u2011",
    "\\": "\\",
    "{": "{",
    "}": "}",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def is_rtf(data: bytes) -> bool:
    return data.startswith(_BEGINNING)


def parse_rtf(data: bytes) -> Parsed:
    """The clean text and the parts of a rich text file, as far as it goes. Raises UnreadableFileError."""
    if not is_rtf(data):
        raise UnreadableFileError("the file is no rich text: it does not begin with {\\rtf")
    return _Reader().read(data)


class _NamedStyle(NamedTuple):
    style: Style | None
    base: int | None


@dataclass(slots=True)
class _State:
    """What holds until the end of the group: where its text goes, and properties of text and paragraph."""

    target: Target = "text"
    paragraphs: list[Paragraph] | None = None  # of the open note or box; None in the document itself
    font: int | None = None
    strong: bool = False
    slanted: bool = False
    hidden: bool = False
    fallback: int = 1  # how many characters stand in for one in Unicode
    style: int | None = None
    base: int | None = None  # in the style sheet: what the style is based on
    outline: int | None = None
    indent: int = 0
    list_level: int = 0
    centred: bool = False
    in_table: bool = False


class _Reader:
    """Tells the flow of a document what the tokens say."""

    def __init__(self) -> None:
        self._flow = Flow()
        self._state = _State()
        self._groups: list[_State] = []
        self._optional = False  # has the group that has just begun been marked as optional?
        self._encoding = "cp1252"
        self._charsets: dict[int | None, str] = {}  # by font
        self._default_font: int | None = None
        self._styles: dict[int, _NamedStyle] = {}
        self._bytes = bytearray()  # that are not decoded yet
        self._standing_in = 0  # characters that are still to be dropped
        self._runs: list[Run] = []  # of the open paragraph
        self._outer: list[list[Run]] = []  # of the paragraphs that notes and boxes stand in
        self._marker: str | None = None  # of the open paragraph
        self._name = ""  # of the open style
        self._title = ""
        self._notes = 0
        self._boxes: list[Paragraph] = []  # after the open paragraph
        self._begun = False  # has there been a paragraph?
        self._table = Table()

    def read(self, data: bytes) -> Parsed:
        for token in tokens(data):
            if token.kind == "text":
                self._bytes += token.text[self._standing_in :]
                self._standing_in = max(0, self._standing_in - len(token.text))
                continue
            self._end_bytes()
            self._standing_in = 0
            if token.kind == "{":
                self._open()
            elif token.kind == "word":
                self._word(token.word, token.number)
            elif not self._groups or not self._close():
                break
        self._end_bytes()
        while self._groups:
            self._close()
        if self._runs:
            self._end_paragraph()
        self._end_table()
        return self._flow.end(_characters(self._title))

    def _open(self) -> None:
        if len(self._groups) == MAX_GROUPS:
            raise UnreadableFileError(f"the file is nested deeper than {MAX_GROUPS:,} levels")
        self._groups.append(self._state)
        self._state = copy(self._state)
        self._optional = False
        self._name = ""

    def _close(self) -> bool:
        """End a group; False when it was the file's own."""
        closed, self._state = self._state, self._groups.pop()
        if closed.target == "styles" and self._name:
            self._end_style(closed)
        if closed.paragraphs is not self._state.paragraphs:
            self._end_aside(closed)
        return bool(self._groups)

    def _end_style(self, closed: _State) -> None:
        outlined = None if closed.outline is None else Style("heading", closed.outline + 1)
        style = style_called(self._name.strip().rstrip(";")) or outlined
        self._styles[closed.style or 0] = _NamedStyle(style, closed.base)
        self._name = ""

    def _end_aside(self, closed: _State) -> None:
        """End a note or a box; the paragraph that it stands in goes on."""
        paragraphs = closed.paragraphs or []
        if self._runs:
            paragraphs.append(Paragraph(self._joined()))
        self._runs = self._outer.pop()
        if closed.target == "box":
            self._boxes += paragraphs
        elif paragraphs:
            self._notes += 1
            self._flow.note(str(self._notes), [paragraph.runs for paragraph in paragraphs])

    def _word(self, word: str, number: int | None) -> None:
        if word == "*":
            self._optional = True
            return
        optional, self._optional = self._optional, False
        if word in _SKIPPED or (optional and word not in _OPTIONAL and word not in _READ):
            self._state.target = "nothing"
        elif self._state.target == "nothing":
            pass
        elif word in _READ:
            self._direct(_READ[word])
        elif word in _CHARACTERS:
            self._add(_CHARACTERS[word])
        elif word == "u":
            self._add(chr((number or 0) & 0xFFFF))
            self._standing_in = self._state.fallback
        elif self._state.target in ("text", "note", "box") and word in _STRUCTURE:
            _STRUCTURE[word](self)
        else:
            self._set(word, number)

    def _direct(self, target: Target) -> None:
        """The text of this group is a note, the name of a style, …"""
        self._state.target = target
        if target in ("note", "box"):
            self._state.paragraphs = []
            self._outer.append(self._runs)
            self._runs = []

    def _set(self, word: str, number: int | None) -> None:
        """A property of the text, the paragraph, the row or the file; most say how it looks."""
        if word not in _PROPERTIES:
            return
        state = self._state
        on = number != 0
        match word:
            case "plain":
                state.strong = state.slanted = state.hidden = False
                state.font = None
            case "b":
                state.strong = on
            case "i":
                state.slanted = on
            case "v" | "deleted":
                state.hidden = on
            case "f":
                state.font = number
            case "uc":
                state.fallback = max(0, number or 0)
            case "pard":
                state.style = state.outline = None
                state.indent = state.list_level = 0
                state.centred = state.in_table = False
            case "s":
                state.style = number
            case "sbasedon":
                state.base = number
            case "outlinelevel":
                state.outline = number if number is not None and 0 <= number < 9 else None
            case "li":
                state.indent = number or 0
            case "ilvl":
                state.list_level = number or 0
            case "qc":
                state.centred = True
            case "intbl":
                state.in_table = True
            case "fcharset" if state.target == "fonts" and number in CHARSETS:
                self._charsets[state.font] = CHARSETS[number]
            case "deff":
                self._default_font = number
            case "ansi" | "mac" | "pc" | "pca":
                self._encoding = _ENCODINGS[word]
            case "ansicpg" if _is_encoding(f"cp{number}"):
                self._encoding = f"cp{number}"
            case "title" if state.target == "information":
                state.target = "title"
            case "trowd" | "trhdr" | "clbrdrb" | "clvmrg" | "cellx":
                self._table.define(word)

    def _end_bytes(self) -> None:
        if self._bytes:
            font = self._default_font if self._state.font is None else self._state.font
            text = self._bytes.decode(self._charsets.get(font, self._encoding), errors="replace")
            self._bytes.clear()
            self._add(text)

    def _add(self, text: str) -> None:
        match self._state.target:
            case "text" | "note" | "box" if not self._state.hidden:
                strong = self._state.strong
                self._runs.append(Run(text, strong, strong or self._state.slanted))
            case "marker":
                self._marker = ((self._marker or "") + text)[:MAX_NAME_CHARS]
            case "title":
                self._title = (self._title + text)[:MAX_NAME_CHARS]
            case "styles":
                self._name = (self._name + text)[:MAX_NAME_CHARS]

    def _end_paragraph(self) -> None:
        runs, self._runs = self._joined(), []
        indent = max(0, self._state.indent // INDENT - 1)
        paragraph = Paragraph(runs, self._style(runs), self._item(), indent)
        self._marker = None
        self._begun = self._begun or bool(runs)
        if self._state.paragraphs is not None:
            self._state.paragraphs.append(paragraph)
        elif self._state.in_table:
            self._table.add(paragraph)
        else:
            self._end_table()
            self._tell([paragraph])

    def _joined(self) -> list[Run]:
        return [run._replace(text=_characters(run.text)) for run in join_runs(self._runs)]

    def _tell(self, paragraphs: Sequence[Paragraph]) -> None:
        boxes, self._boxes = self._boxes, []
        for paragraph in (*paragraphs, *boxes):
            self._flow.paragraph(paragraph.runs, paragraph.style, paragraph.item, paragraph.indent)

    def _style(self, runs: Sequence[Run]) -> Style | None:
        """What the open paragraph is: by its own outline level, its style, or as a line that looks so."""
        if self._state.outline is not None:
            return Style("heading", self._state.outline + 1)
        number = self._state.style
        for _ in range(MAX_STYLE_CHAIN):
            named = None if number is None else self._styles.get(number)
            if named is None:
                break
            if named.style:
                return named.style
            number = named.base
        return Style("title") if self._looks_like_title(runs) else None

    def _looks_like_title(self, runs: Sequence[Run]) -> bool:
        """The first line of the document, centred and in bold type."""
        text = "".join(run.text for run in runs).strip()
        return (
            not self._begun
            and self._state.centred
            and 0 < len(text) <= MAX_TITLE_CHARS
            and all(run.strong for run in runs if run.text.strip())
        )

    def _item(self) -> Item | None:
        if self._marker is None:
            return None
        marker = _characters(self._marker).strip()
        is_bullet = len(marker) == 1 and not marker.isalnum()
        return Item(max(0, self._state.list_level), "-" if is_bullet else marker)

    def _end_cell(self) -> None:
        runs, self._runs = self._joined(), []
        if runs:
            self._table.add(Paragraph(runs, item=self._item()))
        self._marker = None
        self._table.end_cell()

    def _end_row(self) -> None:
        self._table.end_row()

    def _end_table(self) -> None:
        table, self._table = self._table, Table()
        if table.is_layout():
            self._tell(table.paragraphs())
        else:
            self._flow.table(table.rows())


_STRUCTURE: dict[str, Callable[[_Reader], None]] = {
    "par": _Reader._end_paragraph,
    "sect": _Reader._end_paragraph,
    "nestcell": _Reader._end_paragraph,
    "cell": _Reader._end_cell,
    "row": _Reader._end_row,
}


def _characters(text: str) -> str:
    """Text in which a pair of surrogates is one character, and no other control characters are left."""
    return _CONTROLS.sub("", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _is_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name) is not None
    except LookupError:
        return False
