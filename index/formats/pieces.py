"""The pieces of a document, told one after another by a parser of any format → clean text with its parts.

The text is composed here and holds no markup, so that a quote is both exact and clean to read: list markers
stand before their items, the cells of a row are joined by bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, NamedTuple

from index.document import Parsed, Place, one_line
from index.formats.headings import GENERIC, is_title, nest
from index.formats.inline import InlineLine, join_lines
from index.formats.labels import read_turns, split_label
from index.formats.lines import ends_sentence
from index.formats.outline import MAX_MASTHEAD_CHARS, is_credit
from index.formats.parts import PartList, Stretch, lay_out

MAX_BOLD_HEADING_CHARS = 60

MAX_TITLE_CHARS = 300
"""What the metadata call a document is its title only up to this length."""

MAX_REPEATED_CHARS = 1_000_000
"""Cells that reach over several rows are repeated in each until they have added as much as this."""

_BAR = " | "

PieceKind = Literal[
    "title",
    "heading",
    "bold",  # a line in bold type: a heading, when it stands where one would
    "metadata",
    "paragraph",
    "question",
    "answer",
    "turn",  # a speaker's, that answers no question
    "list_item",
    "quotation",
    "code",
    "table_header",
    "top_row",  # the first of a table without a header
    "table_row",
]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part before its place in the text is known."""

    kind: PieceKind
    content: str
    label: str = ""
    level: int = 0  # of a heading, as written
    gap: str = "\n\n"  # what stands between it and the piece before it
    places: tuple[Place, ...] = ()  # offsets into label and content, where the format has pages or times


class Cell(NamedTuple):
    """A cell of a table, over how many columns and rows it reaches, or whether one above reaches into it."""

    text: str
    columns: int = 1
    rows: int = 1
    merged: bool = False


class PieceList:
    """Collects pieces in order; keeps what is open around the next one."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.quotes = 0  # open quotations
        self._pages: list[str] = []  # the first and last that the next piece stands on
        self._lists = 0  # open lists
        self._label = ""  # of the list item or note that has just begun
        self._gap = "\n\n"  # before the next piece
        self._row_kind: PieceKind = "top_row"
        self._above: dict[int, Cell] = {}  # the last row of the open table, by column
        self._repeatable = MAX_REPEATED_CHARS

    @property
    def lists(self) -> int:
        """How many lists are open around what comes next."""
        return self._lists

    @lists.setter
    def lists(self, depth: int) -> None:
        self._lists = depth
        self._gap = self._usual_gap

    @property
    def _usual_gap(self) -> str:
        return "\n" if self._lists else "\n\n"

    def open_page(self, number: str, *, in_block: bool) -> None:
        """A page begins, before the next piece or in it."""
        self._pages = [*self._pages[:1], number] if in_block else [number]

    def end_block(self) -> None:
        """What follows stands on the last page that was opened."""
        del self._pages[:-1]

    def open_item(self, marker: str) -> None:
        """A list item begins; what follows without another is a further paragraph of it."""
        self._label = "  " * (self._lists - 1) + f"{marker} " if marker else ""

    def open_note(self, mark: str) -> None:
        """A footnote begins."""
        self._label = f"[{mark}] "

    def close_item(self) -> None:
        """The item or note ends; its label is dropped if nothing stood in it."""
        self._label = ""

    def title(self, text: str) -> None:
        self._add("title", one_line(text))

    def metadata(self, text: str) -> None:
        """A line about the document: author, date, subtitle."""
        self._add("metadata", one_line(text))

    def heading(self, text: str, level: int) -> None:
        """`level` 1 is the outermost that the format has."""
        self._label = ""
        self._add("heading", one_line(text), level=level)

    def paragraph(self, lines: Sequence[InlineLine]) -> None:
        """A paragraph, list item or quotation, or the questions, answers and fields that stand in it."""
        gap = self._gap
        for group in _group(lines):
            text = join_lines(group)
            labelled, at = split_label(text)
            if labelled:
                self._label, text = text[:at], text[at:]
            self._gap = gap
            self._add(labelled or self._kind(text, all(line.strong for line in group)), text)
            gap = "\n"

    def text(self, text: str) -> None:
        """A list item or paragraph as it is."""
        self._add("list_item" if self._lists else "paragraph", text)

    def code(self, text: str) -> None:
        """Lines of code, their indentation kept."""
        self._add("code", "\n".join(text.splitlines()).rstrip())

    def open_table(self) -> None:
        self._row_kind = "top_row"
        self._above = {}

    def row(self, cells: Sequence[Cell], *, header: bool = False) -> None:
        """The rows after the first of a table follow it closely; a cell that reaches down is in each."""
        texts = list(map(one_line, self._fill(cells)))
        self._label = ""
        if self._add("table_header" if header else self._row_kind, _BAR.join(texts) if any(texts) else ""):
            self._gap = "\n"
            self._row_kind = "table_row"

    def _fill(self, cells: Sequence[Cell]) -> list[str]:
        """The texts of a row, those included that reach into it from above."""
        row: dict[int, Cell] = {}
        column = 0
        waiting = list(reversed(cells))
        while waiting or self._reaches(column):
            cell = self._repeated(column) if self._reaches(column) else waiting.pop()
            if cell.merged and column in self._above:
                cell = cell._replace(text=self._repeated(column).text)
            row[column] = cell
            column += max(1, cell.columns)
        self._above = row
        return [cell.text for cell in row.values()]

    def _reaches(self, column: int) -> bool:
        return column in self._above and self._above[column].rows > 1

    def _repeated(self, column: int) -> Cell:
        """The cell above once more, as long as repetition is moderate."""
        cell = self._above[column]
        self._repeatable -= len(cell.text) + len(_BAR)
        return cell._replace(rows=cell.rows - 1) if self._repeatable > 0 else Cell("")

    def close_table(self) -> None:
        self._gap = self._usual_gap

    def _kind(self, text: str, strong: bool) -> PieceKind:
        if strong and text.endswith("?"):
            return "question"
        if self._lists:
            return "list_item"
        return "bold" if strong else "quotation" if self.quotes else "paragraph"

    def _add(self, kind: PieceKind, content: str, *, level: int = 0) -> bool:
        """Add a piece, unless it is blank; it takes the label of the item that it opens."""
        if not content.strip():
            return False
        self.pieces.append(Piece(kind, content, self._label, level, self._gap, self._places()))
        self._label = ""
        self._gap = self._usual_gap
        return True

    def _places(self) -> tuple[Place, ...]:
        if len(self._pages) < 2:
            return tuple(Place(0, f"p. {page}") for page in self._pages)
        return (Place(0, f"pp. {self._pages[0]}–{self._pages[-1]}"),)


def _group(lines: Sequence[InlineLine]) -> Iterator[list[InlineLine]]:
    """Divide a paragraph before the lines that begin something of their own.

    These are questions and answers with their labels, fields ("**Status:** final"), and what follows a line
    in bold or italic type or a question in bold.
    """
    group: list[InlineLine] = []
    for line in chain.from_iterable(map(_split_question, lines)):
        begins = split_label(line.text)[0] or line.opening.endswith(":")
        if group and (begins or _is_apart(group, line)):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _split_question(line: InlineLine) -> tuple[InlineLine, ...]:
    """A question in bold type and what follows it on the same line ("**Why?** Because.")."""
    answer = line.text[len(line.opening) :].strip()
    if line.strong or not line.opening.endswith("?") or not answer:
        return (line,)
    question = replace(line, text=line.opening, strong=True, set_off=True, hard_break=False)
    return question, replace(line, text=answer, opening="")


def _is_apart(group: Sequence[InlineLine], line: InlineLine) -> bool:
    """Was the group a line in bold or italic type, and does this one begin anew?"""
    if group[-1].runs_on or not all(before.set_off for before in group):
        return False
    return group[-1].text.endswith("?") or not line.text[0].islower()


def compose(pieces: Sequence[Piece], title: str | None = None, shown: Sequence[Piece] = ()) -> Parsed:
    """The text and the parts of a document.

    `title` is what the file's metadata call it; `shown` is what else of them stands before the text.
    """
    title = title if title and len(title) <= MAX_TITLE_CHARS else None
    pieces = _settle_title(pieces, title)
    pieces = _settle_turns(_settle_metadata(_settle_bold(pieces)))
    return _place([*shown, *pieces], title)


def _settle_title(pieces: Sequence[Piece], title: str | None) -> list[Piece]:
    """Make the first heading the title, where it is one and no other piece is.

    It is when the metadata call the document so, when no other stands as far out, or when it is the first
    thing and another follows at once; a heading below the first level only when nothing stands before it.
    """
    places = [place for place, piece in enumerate(pieces) if piece.kind == "heading"]
    if not places or any(piece.kind == "title" for piece in pieces):
        return list(pieces)
    first = places[0]
    alone = is_title([pieces[place].level for place in places]) and (pieces[first].level == 1 or first == 0)
    on_top = places[:2] == [0, 1] and pieces[0].level == 1
    name = pieces[first].content.casefold()
    if name != (title or "").casefold() and (not (alone or on_top) or (name in GENERIC and title is None)):
        return list(pieces)
    return [*pieces[:first], replace(pieces[first], kind="title"), *pieces[first + 1 :]]


def _settle_bold(pieces: Sequence[Piece]) -> list[Piece]:
    """A short line in bold type that heads what follows is a heading, one level below the last."""
    settled: list[Piece] = []
    level = 1
    for place, piece in enumerate(pieces):
        level = piece.level if piece.kind == "heading" else level
        if piece.kind == "bold":
            above = settled[-1].kind if settled else "title"
            below = pieces[place + 1].kind if place + 1 < len(pieces) else "heading"
            heads = above not in ("title", "heading") and below not in ("heading", "bold")
            is_heading = heads and not piece.label and _is_bold_heading(piece.content)
            piece = (
                replace(piece, kind="heading", level=level + 1)
                if is_heading
                else replace(piece, kind="paragraph")
            )
        settled.append(piece)
    return settled


def _is_bold_heading(text: str) -> bool:
    return (
        len(text) <= MAX_BOLD_HEADING_CHARS
        and not ends_sentence(text, 0, len(text))
        and not any(mark in text for mark in ",|·")
    )


def _settle_metadata(pieces: Sequence[Piece]) -> list[Piece]:
    """Short lines right below the title that are no sentences are a byline, a date, a subtitle.

    Not when nothing follows them: then they are all that the document says.
    """
    first = next((place + 1 for place, piece in enumerate(pieces) if piece.kind == "title"), len(pieces))
    last = first
    while last < len(pieces) and _is_subtitle(pieces[last]):
        last += 1
    if last == len(pieces):
        return list(pieces)
    metadata = [replace(piece, kind="metadata") for piece in pieces[first:last]]
    return [*pieces[:first], *metadata, *pieces[last:]]


def _is_subtitle(piece: Piece) -> bool:
    text = piece.content
    if piece.kind != "paragraph" or piece.label or len(text) > MAX_MASTHEAD_CHARS or text.endswith("?"):
        return False
    return is_credit(text) or not ends_sentence(text, 0, len(text))


def _settle_turns(pieces: Sequence[Piece]) -> list[Piece]:
    """Tell speakers' turns from other paragraphs; the name becomes the label."""
    lines = [piece.content if piece.kind == "paragraph" and not piece.label else "" for piece in pieces]
    turns = read_turns(lines)
    settled = list(pieces)
    for place, (kind, label) in turns.items():
        text = pieces[place].content
        if kind != "field":
            settled[place] = replace(pieces[place], kind=kind, label=text[:label], content=text[label:])
    return settled


def _place(pieces: Sequence[Piece], title: str | None) -> Parsed:
    """Place the pieces one after another."""
    text, spans = lay_out([Stretch(piece.gap, piece.label, piece.content) for piece in pieces])
    levels = nest([(piece.level, False) for piece in pieces if piece.kind == "heading"])
    parts = PartList(text)
    for piece, (start, end) in zip(pieces, spans, strict=True):
        label = piece.label.lstrip()
        level = next(levels) if piece.kind == "heading" else 0
        _add(parts, piece.kind, start, end, start - len(label) if label else None, level)
    return Parsed(text, tuple(parts.parts), title, tuple(_places(pieces, spans)))


def _places(pieces: Sequence[Piece], spans: Sequence[tuple[int, int]]) -> Iterator[Place]:
    """Where another page or time begins."""
    last = ""
    for piece, (start, _) in zip(pieces, spans, strict=True):
        for place in piece.places:
            if place.label != last:
                yield replace(place, start=start - len(piece.label) + place.start)
            last = place.label


def _add(parts: PartList, kind: PieceKind, start: int, end: int, label: int | None, level: int) -> None:
    match kind:
        case "heading":
            parts.heading(start, end, level)
        case "turn":
            parts.end_answer()
            parts.paragraph(start, end, label)
        case "answer" if not parts.has_question:
            parts.paragraph(start if label is None else label, end)
        case "paragraph" | "answer":
            parts.paragraph(start, end, label)
        case "question":
            parts.question(start, end, label)
        case "list_item":
            parts.list_item(start, end, label)
        case "quotation":
            parts.quotation(start, end, label)
        case "title":
            parts.title(start, end)
        case "code":
            parts.code(start, end, label)
        case "table_header":
            parts.table_header(start, end)
        case "top_row":
            parts.end_table()
            parts.table_row(start, end)
        case "table_row":
            parts.table_row(start, end)
        case _:
            parts.metadata(start, end)
