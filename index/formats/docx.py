"""DOCX (Office Open XML, transitional and strict) → clean text with its parts.

Read from the XML itself: python-docx sees no notes, numbers, text boxes or content controls, and unpacks
whatever it is given.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from index.document import Parsed
from index.errors import UnreadableFileError
from index.formats.archive import Archive, member_names
from index.formats.docx_numbering import LEVELS, Numbering, value_of
from index.formats.inline import Run, join_runs, lines_of
from index.formats.numbering import numeral
from index.formats.office import MAX_STYLE_CHAIN, Flow, Item, Row, Style, style_called
from index.formats.pieces import Cell
from index.formats.xml import Element, attribute, integer

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_INSIDE = frozenset("ins moveTo smartTag customXml sdtContent hyperlink fldSimple dir bdo rubyBase".split())
_OFF = frozenset({"0", "false", "off"})


def is_docx(data: bytes) -> bool:
    """Is this an archive with a Word document in it?"""
    return any(name.startswith("word/document") for name in member_names(data))


def parse_docx(data: bytes) -> Parsed:
    """The clean text and the parts of a Word document. Raises UnreadableFileError."""
    if data.startswith(_OLD_OFFICE):
        raise UnreadableFileError("the file has a password or is an old Office document; save it as DOCX")
    archive = Archive(data)
    package = _related(archive, "")
    main = package.get("officeDocument", "word/document.xml")
    body = archive.xml(main).find("body")
    if body is None:
        raise UnreadableFileError("the file is no Word document: it has no body")
    flow = Flow()
    _Reader(_Parts(archive, _related(archive, main)), flow).blocks(body)
    properties = package.get("core-properties", "")
    return flow.end(archive.xml(properties).findtext("title") if properties in archive else None)


def _related(archive: Archive, part: str) -> dict[str, str]:
    """The paths of the parts that a part names, by the last word of their type ("styles", "numbering")."""
    folder, name = posixpath.split(part)
    path = posixpath.join(folder, "_rels", f"{name}.rels")
    if path not in archive:
        return {}
    found = ((attribute(to, "Type") or "", attribute(to, "Target") or "") for to in archive.xml(path))
    return {kind.rpartition("/")[2]: posixpath.join("/", folder, target) for kind, target in found}


class _Look(NamedTuple):
    """What a style says itself, or with all that it takes from those it is based on."""

    base: str = ""
    style: Style | None = None
    strong: bool | None = None  # None where nothing says so
    numbering: Element | None = None  # numPr
    marks_first_row: bool = False  # of a table


class _Parts:
    """What the main part leans on: styles, numbering and notes."""

    def __init__(self, archive: Archive, paths: dict[str, str]) -> None:
        def part(name: str) -> Sequence[Element]:
            path = paths.get(name)
            return archive.xml(path) if path is not None and path in archive else ()

        self._styles = {attribute(style, "styleId") or "": _look(style) for style in part("styles")}
        self.numbering = Numbering(part("numbering"))
        self._notes = {
            (note.tag, attribute(note, "id")): note
            for name in ("footnotes", "endnotes")
            for note in part(name)
        }

    def note(self, reference: Element) -> Element | None:
        """The note that a footnoteReference or endnoteReference points to, for the first one that does."""
        return self._notes.pop((reference.tag.removesuffix("Reference"), attribute(reference, "id")), None)

    def look(self, style_id: str | None) -> _Look:
        """What a style looks like and says, by its id."""
        chain = list(self._chain(style_id or ""))
        return _Look(
            style=next((look.style for look in chain if look.style), None),
            strong=next((look.strong for look in chain if look.strong is not None), None),
            numbering=next((look.numbering for look in chain if look.numbering is not None), None),
            marks_first_row=any(look.marks_first_row for look in chain),
        )

    def _chain(self, style_id: str) -> Iterator[_Look]:
        """A style and those that it is based on, nearest first."""
        for _ in range(MAX_STYLE_CHAIN):
            if style_id not in self._styles:
                break
            yield self._styles[style_id]
            style_id = self._styles[style_id].base


def _look(style: Element) -> _Look:
    bold = style.find("rPr/b")
    return _Look(
        value_of(style, "basedOn") or "",
        style_called(value_of(style, "name") or "") or _outlined(style.find("pPr")),
        None if bold is None else _is_on(bold),
        style.find("pPr/numPr"),
        any(attribute(part, "type") == "firstRow" for part in style.iterchildren("tblStylePr")),
    )


class _Reader:
    """Tells the flow of a document what stands in its body."""

    def __init__(self, parts: _Parts, flow: Flow) -> None:
        self._parts = parts
        self._flow = flow
        self._marks = {"footnoteReference": 0, "endnoteReference": 0}
        self._boxes: list[Element] = []  # text boxes anchored in the open paragraph

    def blocks(self, parent: Iterable[Element]) -> None:
        """Read the paragraphs and tables in an element."""
        for child in parent:
            match child.tag:
                case "p":
                    self._paragraph(child)
                case "tbl" if not _is_layout(child):
                    self._flow.table(list(self._rows(child)))
                case "sdt" if (
                    value_of(child.find("sdtPr/docPartObj"), "docPartGallery") == "Table of Contents"
                ):
                    pass
                case "tbl" | "tr" | "tc" | "sdt" | "sdtContent" | "ins" | "moveTo" | "customXml" | "smartTag":
                    self.blocks(child)
                case "AlternateContent":
                    self.blocks(next(child.iterchildren("Choice"), ()))

    def _paragraph(self, paragraph: Element) -> None:
        look, runs = self._read(paragraph)
        properties = paragraph.find("pPr")
        style = _outlined(properties) or look.style
        self._flow.paragraph(runs, style, self._item(properties, look) if runs else None)
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            self.blocks(box)

    def _read(self, paragraph: Element) -> tuple[_Look, list[Run]]:
        look = self._parts.look(value_of(paragraph.find("pPr"), "pStyle"))
        return look, join_runs(self._runs(paragraph, bool(look.strong)))

    def _item(self, properties: Element | None, look: _Look) -> Item | None:
        """The place in a list that a paragraph says itself, or its style says."""
        own = None if properties is None else properties.find("numPr")
        list_id = value_of(own, "numId") or value_of(look.numbering, "numId")
        level = integer(value_of(own, "ilvl") or value_of(look.numbering, "ilvl")) or 0
        return None if list_id is None else self._parts.numbering.item(list_id, level)

    def _runs(self, parent: Element, strong: bool) -> Iterator[Run]:
        for child in parent:
            match child.tag:
                case "r":
                    yield from self._run(child, strong)
                case "sdt":
                    yield from self._runs(child, strong)
                case "oMath":
                    yield Run("".join(child.itertext("t")), strong, strong)
                case tag if tag in _INSIDE:
                    yield from self._runs(child, strong)

    def _run(self, run: Element, strong: bool) -> Iterator[Run]:
        properties = run.find("rPr")
        if properties is not None:
            if _is_on(properties.find("vanish")):
                return
            bold = properties.find("b")
            of_style = self._parts.look(value_of(properties, "rStyle")).strong
            strong = _is_on(bold) if bold is not None else strong if of_style is None else of_style
        set_off = strong or (properties is not None and _is_on(properties.find("i")))
        for child in run:
            yield Run(self._text(child), strong, set_off)

    def _text(self, element: Element) -> str:
        match element.tag:
            case "t":
                return (element.text or "").replace("\n", " ")
            case "tab" | "ptab":
                return "\t"
            case "br" | "cr":
                return "\n" if attribute(element, "type") in (None, "textWrapping") else " "
            case "noBreakHyphen":
                return "\u2011"
            case "footnoteReference" | "endnoteReference":
                self._note(element)
            case "ruby":
                return "".join(run.text for run in self._runs(element, strong=False))
            case "drawing" | "pict" | "object" | "AlternateContent":
                self._boxes += _text_boxes(element)
        return ""

    def _note(self, reference: Element) -> None:
        note = self._parts.note(reference)
        if note is not None:
            self._marks[reference.tag] += 1
            style = "1" if reference.tag == "footnoteReference" else "i"
            paragraphs = [self._read(paragraph)[1] for paragraph in note.iterchildren("p")]
            self._flow.note(numeral(self._marks[reference.tag], style), paragraphs)

    def _rows(self, table: Element) -> Iterator[Row]:
        look = self._parts.look(value_of(table.find("tblPr"), "tblStyle"))
        marked = look.marks_first_row and _marks_first_row(table.find("tblPr/tblLook"))
        for number, row in enumerate(table.iter("tr")):
            cells: list[Cell] = []
            strong = True
            for cell in row.iter("tc"):
                text, in_bold = self._cell(cell)
                strong = strong and in_bold
                columns = integer(value_of(cell.find("tcPr"), "gridSpan")) or 1
                merge = cell.find("tcPr/vMerge")
                merged = merge is not None and attribute(merge, "val") != "restart"
                cells.append(Cell(text, columns, merged=merged))
            header = _is_on(row.find("trPr/tblHeader")) or (number == 0 and (marked or strong))
            yield Row(cells, header)

    def _cell(self, cell: Element) -> tuple[str, bool]:
        """The text of a cell, and whether all of it stands in bold type."""
        lines = [line for paragraph in cell.iter("p") for line in lines_of(self._read(paragraph)[1])]
        return " ".join(line.text for line in lines), all(line.strong for line in lines)


def _text_boxes(element: Element) -> Iterator[Element]:
    """The outermost text boxes in a drawing; where there are two forms of it, in the first."""
    if element.tag == "AlternateContent":
        element = element.find("Choice")
    outer = None
    for box in () if element is None else element.iter("txbxContent"):
        if outer is None or outer not in box.iterancestors("txbxContent"):
            outer = box
            yield box


def _is_layout(table: Element) -> bool:
    """Does a table only divide the page: with a table in it, or one column or row?"""
    if next(table.iterdescendants("tbl", "txbxContent"), None) is not None:
        return True
    widths = [sum(1 for _ in row.iter("tc")) for row in table.iter("tr")]
    return len(widths) < 2 or max(widths) < 2


def _marks_first_row(look: Element | None) -> bool:
    flag = attribute(look, "firstRow")
    if flag is not None:
        return flag not in _OFF
    bits = attribute(look, "val") or ""
    return re.fullmatch(r"[0-9A-Fa-f]{1,8}", bits) is not None and bool(int(bits, 16) & 0x20)


def _outlined(properties: Element | None) -> Style | None:
    """A heading by its outline level, which is 9 for text."""
    level = integer(value_of(properties, "outlineLvl"))
    return Style("heading", level + 1) if level is not None and level < LEVELS else None


def _is_on(switch: Element | None) -> bool:
    """Is a property that is on or off there and on?"""
    return switch is not None and (attribute(switch, "val") or "") not in _OFF
