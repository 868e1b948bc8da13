"""A tree of HTML elements → pieces, whoever parsed it: names in lower case, without namespaces or comments.

The tree is walked without recursion, however deep it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from lxml import etree

from index.formats.html_text import INLINE
from index.formats.inline import InlineLine, Run, join_lines, lines_of
from index.formats.numbering import numeral
from index.formats.pieces import Cell, PieceList
from index.formats.xml import Element

MIN_ALT_WORDS = 3
"""A shorter description of an image names it ("Cover", "Figure 3") and says nothing."""

MAX_SPAN = 1_000
"""A cell reaches over no more columns or rows, as in browsers."""

_HIDDEN = frozenset(
    "head script style template svg noscript iframe object audio video canvas rp rt nav select "
    "textarea".split()
)
_IN_LINE = INLINE | frozenset("acronym big br data nobr output rb ruby strike math".split())
_STRONG = frozenset("b strong th dt summary".split())
_LISTS = frozenset("ul ol dl menu".split())
_LAYOUT = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre", "blockquote")
_HEADING = re.compile(r"h([1-6])")
_BOLD = re.compile(r"font-weight\s*:\s*(?:bold|[6-9]00)", re.IGNORECASE)
_CLASS = re.compile(r"\.([\w-]+)\s*\Z")
_SPACE = re.compile(r"\s+")
_NOTE_LINK_ROLES = frozenset("noteref doc-noteref footnote-ref backlink doc-backlink footnote-back".split())
_PAGE_ROLES = frozenset({"pagebreak", "doc-pagebreak"})
_PAGE_NUMBER = re.compile(r"\s*(?:page\s*)?(\d{1,6}|[ivxlcdm]{1,8})\.?\s*", re.IGNORECASE)
_NOTE_MARK = re.compile(r"[\[(]?(?:\d{1,4}|[a-z]|[*†‡§]{1,3})[\])]?")


def read_elements(root: Element, pieces: PieceList, bold: Collection[str] = ()) -> None:
    """Tell `pieces` what stands in the tree, in order; `bold` are the classes in bold type."""
    _Walk(pieces, bold).read(root)


def bold_classes(css: str) -> frozenset[str]:
    """The classes that a style sheet sets in bold type."""
    classes: set[str] = set()
    for rule in css.split("}"):
        selectors, _, declarations = rule.rpartition("{")
        if _BOLD.search(declarations):
            classes.update(
                match[1] for selector in selectors.split(",") if (match := _CLASS.search(selector))
            )
    return frozenset(classes)


def page_number(element: Element) -> str | None:
    """The number of the page that begins at an element, if one does and the element names it."""
    if _PAGE_ROLES.isdisjoint(_roles(element)):
        return None
    names = (element.get("title"), element.get("aria-label"), "".join(element.itertext()))
    found = (_PAGE_NUMBER.fullmatch(name) for name in names if name)
    return next((number[1] for number in found if number), None)


class _Walk:
    def __init__(self, pieces: PieceList, bold: Collection[str]) -> None:
        self._pieces = pieces
        self._bold = bold
        self._runs: list[Run] = []  # since the last block began or ended
        self._has_text = False  # is there any in them?
        self._strong = 0  # open elements in bold type
        self._emphasis = 0  # open elements in italic type
        self._level = 0  # of the open heading
        self._code: list[str] | None = None  # in an open <pre>
        self._numbers: list[_Numbers | None] = []  # of the open lists
        self._tables: list[_Table | None] = []  # the open ones; None for one that only divides the page

    def read(self, root: Element) -> None:
        hidden: Element | None = None
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                if _is_hidden(element):
                    self._open_page(element)
                    hidden = element
                    walk.skip_subtree()
                else:
                    self._open(element)
            else:
                if element is not hidden:
                    self._close(element)
                if element is not root:
                    self._text(element.tail)
        self._end_block()

    @property
    def _table(self) -> _Table | None:
        return self._tables[-1] if self._tables else None

    def _open_page(self, element: Element) -> None:
        """Take note of the page that begins where an element says so."""
        if number := page_number(element):
            in_row = self._table is not None and self._table.in_cell
            self._pieces.open_page(number, in_block=in_row or self._has_text or bool(self._code))

    def _open(self, element: Element) -> None:
        tag = element.tag
        if tag not in _IN_LINE:
            self._end_block()
            self._open_block(element)
        self._strong += self._is_strong(element)
        self._emphasis += tag in ("i", "em")
        match tag:
            case "br":
                self._add("\n")
            case "img":
                self._text(_description(element))
            case "q":
                self._add("“")
        self._text(element.text)

    def _close(self, element: Element) -> None:
        tag = element.tag
        if tag == "q":
            self._add("”")
        if tag not in _IN_LINE:
            self._end_block()
            self._close_block(element)
        self._strong -= self._is_strong(element)
        self._emphasis -= tag in ("i", "em")

    def _open_block(self, element: Element) -> None:
        tag = element.tag
        if heading := _HEADING.fullmatch(tag):
            self._level = int(heading[1])
        elif tag == "pre":
            self._code = []
        elif tag == "table":
            self._tables.append(None if _is_layout(element) else _Table())
            self._pieces.open_table()
        elif self._table is not None:
            self._table.open(element)
        elif tag in _LISTS:
            self._numbers.append(_Numbers(element) if tag == "ol" else None)
            self._pieces.lists += 1
        elif tag == "li":
            numbers = self._numbers[-1] if self._numbers else None
            self._pieces.open_item(numbers.next(element) if numbers else "-")
        elif tag == "blockquote":
            self._pieces.quotes += 1

    def _close_block(self, element: Element) -> None:
        tag = element.tag
        if _HEADING.fullmatch(tag):
            self._level = 0
        elif tag == "pre":
            self._end_code()
        elif tag == "table":
            if self._table is not None:
                self._end_row(self._table)
            self._tables.pop()
            self._pieces.close_table()
        elif self._table is not None:
            if tag == "tr":
                self._end_row(self._table)
        elif tag in _LISTS:
            self._numbers.pop()
            self._pieces.lists -= 1
        elif tag in ("li", "dd"):
            self._pieces.close_item()
        elif tag == "blockquote":
            self._pieces.quotes -= 1

    def _is_strong(self, element: Element) -> bool:
        return (
            element.tag in _STRONG
            or _BOLD.search(element.get("style", "")) is not None
            or any(name in self._bold for name in element.get("class", "").split())
        )

    def _text(self, text: str | None) -> None:
        if text and self._code is not None:
            self._code.append(text)
        elif text:
            self._add(_SPACE.sub(" ", text))

    def _add(self, text: str) -> None:
        if self._code is not None:
            self._code.append(text)
        else:
            self._runs.append(Run(text, self._strong > 0, self._strong + self._emphasis > 0))
            self._has_text = self._has_text or not text.isspace()

    def _end_block(self) -> None:
        lines = lines_of(self._runs)
        self._runs, self._has_text = [], False
        if not lines:
            return
        if self._table is not None and self._table.in_cell:
            self._table.add(lines)
            return
        if self._level:
            self._pieces.heading(join_lines(lines), self._level)
        else:
            self._pieces.paragraph(lines)
        self._pieces.end_block()

    def _end_code(self) -> None:
        text = "".join(self._code or ()).strip("\n")
        self._code = None
        self._pieces.code(text)
        self._pieces.end_block()

    def _end_row(self, table: _Table) -> None:
        cells, is_header = table.end_row()
        self._pieces.row(cells, header=is_header)
        self._pieces.end_block()


class _Numbers:
    """Counts the items of an ordered list."""

    def __init__(self, element: Element) -> None:
        self._style = element.get("type") or "1"
        self._number = (_integer(element.get("start")) or 1) - 1

    def next(self, item: Element) -> str:
        value = _integer(item.get("value"))
        self._number = self._number + 1 if value is None else value
        return f"{numeral(self._number, self._style)}."


class _Table:
    """The open row of a table."""

    def __init__(self) -> None:
        self.in_cell = False
        self._in_head = False
        self._first = True  # row
        self._cells: list[Cell] = []
        self._texts: list[list[str]] = []  # of the cells
        self._marked = True  # all cells so far are header cells or stand in bold type

    def open(self, element: Element) -> None:
        """Take note of what begins in the table."""
        match element.tag:
            case "tr":
                self._in_head = element.getparent().tag == "thead"
                self._cells, self._texts, self._marked, self.in_cell = [], [], True, False
            case "td" | "th":
                columns, rows = (_integer(element.get(name)) or 1 for name in ("colspan", "rowspan"))
                self._cells.append(Cell("", min(columns, MAX_SPAN), min(rows, MAX_SPAN)))
                self._texts.append([])
                self.in_cell = True

    def add(self, lines: list[InlineLine]) -> None:
        """Text of the open cell; a header cell counts as bold type."""
        self._texts[-1].append(join_lines(lines))
        self._marked = self._marked and all(line.strong for line in lines)

    def end_row(self) -> tuple[list[Cell], bool]:
        """The cells, and whether they are a header: in the table's head, or the first, in bold type."""
        is_header = bool(self._cells) and (self._in_head or (self._first and self._marked))
        texts = map(" ".join, self._texts)
        cells = [cell._replace(text=text) for cell, text in zip(self._cells, texts, strict=True)]
        self._cells, self._texts = [], []
        self._first, self.in_cell = False, False
        return cells, is_header


def _is_layout(table: Element) -> bool:
    """Does a table only divide the page: with headings, lists or tables in it, or one column or row?"""
    if next(table.iterdescendants(*_LAYOUT), None) is not None:
        return True
    widths = [sum(cell.tag in ("td", "th") for cell in row) for row in table.iter("tr")]
    return len(widths) < 2 or max(widths) < 2


def _is_hidden(element: Element) -> bool:
    return (
        element.tag in _HIDDEN
        or element.get("hidden") is not None
        or (element.tag == "a" and _is_note_link(element))
        or not _PAGE_ROLES.isdisjoint(_roles(element))
    )


def _is_note_link(link: Element) -> bool:
    """Does a link lead to a footnote or back: by its role, or as a raised number?"""
    if not _NOTE_LINK_ROLES.isdisjoint(_roles(link)):
        return True
    parent = link.getparent()
    raised = (parent is not None and parent.tag == "sup") or [child.tag for child in link] == ["sup"]
    return (
        raised
        and "#" in link.get("href", "")
        and _NOTE_MARK.fullmatch("".join(link.itertext()).strip()) is not None
    )


def _roles(element: Element) -> Iterator[str]:
    """What role, epub:type and class say an element is."""
    for name, value in element.items():
        if name in ("role", "class", "epub:type") or name.endswith("}type"):
            yield from value.split()


def _description(image: Element) -> str:
    text = image.get("alt", "")
    return text if len(text.split()) >= MIN_ALT_WORDS else ""


def _integer(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,9}", text.strip()) else None
