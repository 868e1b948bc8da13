"""ODT (OpenDocument text) → clean text with its parts, read from the XML itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from index.document import Parsed
from index.errors import UnreadableFileError
from index.formats.archive import Archive
from index.formats.inline import Run, join_runs, lines_of
from index.formats.numbering import numeral
from index.formats.office import (
    MAX_LIST_LEVEL,
    MAX_MARKER_CHARS,
    MAX_STYLE_CHAIN,
    Flow,
    Item,
    Row,
    Style,
    style_called,
)
from index.formats.pieces import Cell
from index.formats.xml import Element, attribute, integer

MAX_REPEATED = 100
"""A space or an empty cell that stands for several stands for no more than this; so reach cells."""

_MIMETYPE = b"mimetypeapplication/vnd.oasis.opendocument.text"
_GENERATED = frozenset(
    "table-of-content illustration-index table-index object-index user-index alphabetical-index "
    "tracked-changes sequence-decls variable-decls user-field-decls index-title-template forms annotation "
    "annotation-end note frame object object-ole ruby-text".split()
)
_ASIDE = ("note", "annotation")
_BOLD = frozenset("bold 600 700 800 900".split())
_SPACE = re.compile(r"[ \t\r\n]+")


def is_odt(data: bytes) -> bool:
    """Is this an OpenDocument text? The first member of the archive says so, uncompressed."""
    return data.startswith(b"PK") and _MIMETYPE in data[:200]


def parse_odt(data: bytes) -> Parsed:
    """The clean text and the parts of an OpenDocument text. Raises UnreadableFileError."""
    archive = Archive(data)
    manifest = "META-INF/manifest.xml"
    if manifest in archive and next(archive.xml(manifest).iter("encryption-data"), None) is not None:
        raise UnreadableFileError("the file is protected by a password; save it without one first")
    content = archive.xml("content.xml")
    text = content.find("body/text")
    if text is None:
        raise UnreadableFileError("the file is no OpenDocument text: it has no body")
    flow = Flow()
    styles = _Styles([archive.xml("styles.xml"), content] if "styles.xml" in archive else [content])
    _Reader(styles, flow).blocks(text)
    return flow.end(archive.xml("meta.xml").findtext("meta/title") if "meta.xml" in archive else None)


class _Look(NamedTuple):
    """What a style says itself, or with all that it takes from its parents."""

    parent: str | None
    style: Style | None
    strong: bool | None = None  # None where no style says so
    slanted: bool | None = None


class _Level(NamedTuple):
    """How the items of one level of a list are numbered."""

    start: int
    form: str  # "1", "a", "A", "i" or "I", "-" for a bullet, "" for nothing
    prefix: str
    suffix: str
    shown: int  # how many levels' numbers are shown


class _Styles:
    """The styles of paragraphs and text by family and name, and those of lists by name."""

    def __init__(self, roots: Sequence[Element]) -> None:
        self._styles = {
            (attribute(style, "family"), attribute(style, "name")): _look(style)
            for style in chain.from_iterable(root.iter("style") for root in roots)
        }
        self._lists = {
            attribute(style, "name"): _levels(style)
            for style in chain.from_iterable(root.iter("list-style") for root in roots)
        }
        outline = next(chain.from_iterable(root.iter("outline-style") for root in roots), None)
        self.outline = {} if outline is None else _levels(outline)

    def levels(self, name: str | None) -> dict[int, _Level]:
        """The levels of a list style; 0 is outermost."""
        return self._lists.get(name, {})

    def look(self, family: str, name: str | None) -> _Look:
        """What a style looks like; one that is not defined says something by its name all the same."""
        chain = list(self._chain(family, name)) or [_Look(None, style_called(name or ""))]
        return _Look(
            None,
            next((look.style for look in chain if look.style), None),
            next((look.strong for look in chain if look.strong is not None), None),
            next((look.slanted for look in chain if look.slanted is not None), None),
        )

    def _chain(self, family: str, name: str | None) -> Iterator[_Look]:
        """A style and its parents, nearest first."""
        for _ in range(MAX_STYLE_CHAIN):
            look = self._styles.get((family, name))
            if look is None:
                break
            yield look
            name = look.parent


def _look(style: Element) -> _Look:
    name = (attribute(style, "display-name") or attribute(style, "name") or "").replace("_20_", " ")
    properties = style.find("text-properties")
    weight, slant = attribute(properties, "font-weight"), attribute(properties, "font-style")
    return _Look(
        attribute(style, "parent-style-name"),
        style_called(name),
        True if name == "Table Heading" else None if weight is None else weight in _BOLD,
        None if slant is None else slant in ("italic", "oblique"),
    )


def _levels(style: Element) -> dict[int, _Level]:
    levels: dict[int, _Level] = {}
    for level in style:
        start = integer(attribute(level, "start-value"))
        bullet = (attribute(level, "bullet-char") or "").strip()
        levels[(integer(attribute(level, "level")) or 1) - 1] = _Level(
            1 if start is None else start,
            "-" if bullet else attribute(level, "num-format") or "",
            (attribute(level, "num-prefix") or "")[:MAX_MARKER_CHARS],
            (attribute(level, "num-suffix") or "")[:MAX_MARKER_CHARS],
            integer(attribute(level, "display-levels")) or 1,
        )
    return levels


class _List:
    """An open list."""

    def __init__(self, style: str | None, count: int | None) -> None:
        self.style = style
        self.count = count  # the number of the last item; None before the first
        self.marker = ""  # of the item that has just begun


class _Reader:
    """Tells the flow of a document what stands in its body."""

    def __init__(self, styles: _Styles, flow: Flow) -> None:
        self._styles = styles
        self._flow = flow
        self._lists: list[_List] = []  # the open ones
        # The last number of closed lists, by style or id and level.
        self._counts: dict[tuple[str | None, int], int | None] = {}
        self._outline: list[int] = []  # numbers of the open headings
        self._frames: list[Element] = []  # anchored in the open paragraph

    def blocks(self, parent: Element) -> None:
        """Read the paragraphs, lists and tables in an element."""
        for child in parent:
            match child.tag:
                case "p" | "h":
                    self._paragraph(child)
                case "list":
                    self._list(child)
                case "table" if not _is_layout(child):
                    self._flow.table(list(self._rows(child)))
                case "section" if attribute(child, "display") == "none":
                    pass
                case "frame":
                    for box in child.iterchildren("text-box"):
                        self.blocks(box)
                case tag if tag not in _GENERATED:
                    self.blocks(child)

    def _paragraph(self, paragraph: Element) -> None:
        look, runs = self._read(paragraph)
        style, item = look.style, self._item()
        if paragraph.tag == "h":
            level = min(integer(attribute(paragraph, "outline-level")) or 1, MAX_LIST_LEVEL)
            style = style if style and style.role == "title" else Style("heading", level)
            number = self._outline_number(paragraph, level)
            item = item if item and item.marker else Item(0, number)
        self._flow.paragraph(runs, style, item if runs else None)
        frames, self._frames = self._frames, []
        for frame in frames:
            self.blocks(frame)

    def _read(self, paragraph: Element) -> tuple[_Look, list[Run]]:
        look = self._styles.look("paragraph", attribute(paragraph, "style-name"))
        runs = self._runs(paragraph, bool(look.strong), bool(look.slanted))
        return look, join_runs(runs)

    def _runs(self, parent: Element, strong: bool, slanted: bool) -> Iterator[Run]:
        def run(text: str) -> Run:
            return Run(text, strong, strong or slanted)

        yield run(_spaced(parent.text))
        for child in parent:
            match child.tag:
                case "s":
                    yield run(" " * min(integer(attribute(child, "c")) or 1, MAX_REPEATED))
                case "tab":
                    yield run("\t")
                case "line-break":
                    yield run("\n")
                case "note":
                    self._note(child)
                case "frame":
                    self._frames.append(child)
                case "span":
                    look = self._styles.look("text", attribute(child, "style-name"))
                    yield from self._runs(
                        child,
                        strong if look.strong is None else look.strong,
                        slanted if look.slanted is None else look.slanted,
                    )
                case tag if tag not in _GENERATED:
                    yield from self._runs(child, strong, slanted)
            yield run(_spaced(child.tail))

    def _note(self, note: Element) -> None:
        body = note.find("note-body")
        if body is not None:
            mark = (note.findtext("note-citation") or "").strip() or "*"
            self._flow.note(mark, [self._read(paragraph)[1] for paragraph in body.iter("p")])

    def _list(self, element: Element) -> None:
        level = len(self._lists)
        style = attribute(element, "style-name") or (self._lists[-1].style if self._lists else None)
        opened = _List(style, self._continued(element, style, level))
        self._lists.append(opened)
        for item in element:
            opened.marker = self._marker(item) if item.tag == "list-item" else ""
            self.blocks(item)
        self._lists.pop()
        self._counts[style, level] = opened.count
        if name := attribute(element, "id"):
            self._counts[name, 0] = opened.count

    def _continued(self, element: Element, style: str | None, level: int) -> int | None:
        """The number of the last item of the list that this one continues."""
        if attribute(element, "continue-numbering") == "true":
            return self._counts.get((style, level))
        continued = attribute(element, "continue-list")
        return None if continued is None else self._counts.get((continued, 0))

    def _marker(self, item: Element) -> str:
        """The number or bullet of an item; one that holds nothing but another list has none."""
        if len(item) == 0 or item[0].tag not in ("p", "h"):
            return ""
        opened = self._lists[-1]
        levels = self._styles.levels(opened.style)
        level = levels.get(len(self._lists) - 1, _BULLET)
        given = integer(attribute(item, "start-value"))
        following = level.start if opened.count is None else opened.count + 1
        opened.count = following if given is None else given
        return _number_text(level, [1 if one.count is None else one.count for one in self._lists])

    def _item(self) -> Item | None:
        """The place of the next paragraph in the open lists."""
        if not self._lists:
            return None
        marker, self._lists[-1].marker = self._lists[-1].marker, ""
        return Item(len(self._lists) - 1, marker)

    def _outline_number(self, heading: Element, depth: int) -> str:
        """The number of a heading that is the `depth`th from the outside."""
        if attribute(heading, "is-list-header") == "true":
            return ""
        levels = self._styles.outline
        while len(self._outline) < depth:
            self._outline.append(levels.get(len(self._outline), _BULLET).start - 1)
        del self._outline[depth:]
        self._outline[-1] += 1
        return _number_text(levels.get(depth - 1, _BULLET), self._outline)

    def _rows(self, table: Element) -> Iterator[Row]:
        for number, row in enumerate(table.iter("table-row")):
            cells: list[Cell] = []
            strong = True
            for cell in row.iterchildren("table-cell"):
                text, in_bold = self._cell(cell)
                strong = strong and in_bold
                spanned = (integer(attribute(cell, f"number-{name}-spanned")) for name in ("columns", "rows"))
                columns, rows = (min(count or 1, MAX_REPEATED) for count in spanned)
                repeated = integer(attribute(cell, "number-columns-repeated")) or 1
                cells += [Cell(text, columns, rows)] * (1 if text else min(repeated, MAX_REPEATED))
            in_head = row.getparent().tag == "table-header-rows"
            yield Row(cells, in_head or (number == 0 and strong))

    def _cell(self, cell: Element) -> tuple[str, bool]:
        """The text of a cell, and whether all of it stands in bold type."""
        paragraphs = (one for one in cell.iter("p", "h") if next(one.iterancestors(*_ASIDE), None) is None)
        lines = [line for paragraph in paragraphs for line in lines_of(self._read(paragraph)[1])]
        return " ".join(line.text for line in lines), all(line.strong for line in lines)


_BULLET = _Level(1, "-", "", "", 1)


def _number_text(level: _Level, counts: Sequence[int]) -> str:
    """The marker of an item, given its number and those of the items around it, outermost first."""
    if level.form in ("", "-"):
        return level.form
    own = [str(count) for count in counts[-level.shown : -1]] + [numeral(counts[-1], level.form)]
    return f"{level.prefix}{'.'.join(own)}{level.suffix}".strip()


def _is_layout(table: Element) -> bool:
    """Does a table only divide the page: with a table or heading in it, or one column or row?"""
    if next(table.iterdescendants("table", "h", "frame"), None) is not None:
        return True
    widths = [sum(1 for _ in row.iterchildren("table-cell")) for row in table.iter("table-row")]
    return len(widths) < 2 or max(widths) < 2


def _spaced(text: str | None) -> str:
    return _SPACE.sub(" ", text or "")
