"""PDF → clean text with its parts: headings by their type, lines joined to paragraphs, a place for each page.

What is on the pages comes from PDFium (`index.formats.pdfium`), the order of it from `index.formats.layout`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from index.document import Parsed, Place, one_line
from index.errors import EmptyDocumentError, UnreadableFileError
from index.formats.labels import split_label
from index.formats.layout import Line, Run, read_lines
from index.formats.lines import ends_sentence, marker_end
from index.formats.pieces import Piece, PieceKind, compose

MAX_MEMORY = 2 * 2**30
"""As much address space as PDFium may use, in bytes (where the system can limit it)."""

MAX_SECONDS = 120
"""As long as PDFium may take; a book of 1,000 pages takes about ten."""

MAX_HEADING_CHARS = 200

BIGGER = 1.1
"""Type is a heading's when it is larger than the body's by this factor."""

SET_IN = 0.9
"""A line is in bold type, or in one of fixed width, when as many of its characters are."""

MAX_LEADING = 1.35
"""Lines further apart than the usual distance times this do not belong to one paragraph."""

MIN_ROW_GAP = 1.0
"""One of two rows of a table has a gap as wide as this, in units of the type's size; the other, half."""

INDENT = 0.7
"""A line that begins as far to the right of the one before it, in units of the type's size, is indented."""

MAX_JUSTIFIED_GAP = 4.0
"""Words of justified prose are less far apart than this, in units of the type's size."""

MAX_CODE_INDENT = 40
MAX_LEADER_CHARS = 200
MAX_WORD_CHARS = 60

_PROGRAM = Path(__file__).with_name("pdfium.py")
_BULLETS = frozenset("•◦▪‣●○·")
_LEADER = re.compile(r"(?:\.[ ]?){4,}[ ]*\S{0,6}$")
_FILE_NAME = re.compile(
    r"(?:Microsoft Word - .*|.*\.(?:docx?|odt|rtf|tex|dvi|indd|qxd|pptx?|pdf|html?))", re.IGNORECASE
)
_UNTITLED = frozenset({"", "untitled", "untitled document", "title"})
_SECTION_NUMBER = re.compile(r"\d+((?:\.\d+)*)\.?\s")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BROKEN = re.compile(r"([^\W\d_]+(?:-[^\W\d_]+)*)[-\u2010\u00ad]$")

BlockKind = Literal["heading", "question", "code", "row", "prose"]


class Block(NamedTuple):
    """Lines that belong together."""

    kind: BlockKind
    lines: tuple[Line, ...]


class Usual(NamedTuple):
    """What is usual in a document."""

    size: float  # of the type of its prose, in points
    leading: float  # the distance of two lines, in units of the size


def is_pdf(data: bytes) -> bool:
    """Is this a PDF? Its mark may stand behind a few other bytes (PDF 32000-1:2008, annex H.3.4.1)."""
    start = data[:1024]
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"%PDF-") or (
        b"%PDF-" in start and b"startxref" in data[-1024:]
    )


def parse_pdf(data: bytes) -> Parsed:
    """The clean text and the parts of a PDF.

    Raises UnreadableFileError when it is encrypted, damaged or too large, EmptyDocumentError for a scan.
    """
    return parse_runs(*read_runs(data))


def parse_runs(title: str, labels: Sequence[str], pages: Sequence[Sequence[Run]]) -> Parsed:
    """The clean text and the parts of what stands on some pages. Raises EmptyDocumentError."""
    lines = read_lines(pages)
    if not lines:
        raise EmptyDocumentError("the PDF holds no text, only pictures; have its text recognised (OCR) first")
    blocks = list(_blocks(lines, _usual(lines)))
    return compose(_settle_front(list(_pieces(blocks, labels))), _title(title))


def read_runs(data: bytes) -> tuple[str, list[str], list[list[Run]]]:
    """The title in the metadata, the label of each page, and the runs of text on it."""
    first, *pages = map(json.loads, _read_apart(data).splitlines())
    if message := (pages or [first])[-1].get("error"):
        raise UnreadableFileError(message)
    runs = [[Run(*run) for run in page["runs"]] for page in pages]
    return first["title"], [f"p. {page['label']}" for page in pages], runs


def _read_apart(data: bytes) -> bytes:
    """What `pdfium.py` says of a PDF, in a process of its own: it may crash, hang or use up all memory."""
    command = [sys.executable, "-P", str(_PROGRAM), str(MAX_MEMORY), str(MAX_SECONDS)]
    try:
        reader = subprocess.run(command, input=data, capture_output=True, timeout=MAX_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise UnreadableFileError(f"the PDF takes longer than {MAX_SECONDS} seconds to read") from None
    except subprocess.CalledProcessError:
        raise UnreadableFileError("the PDF is damaged, or needs more memory than Quoth gives it") from None
    return reader.stdout


def _title(name: str) -> str | None:
    """The title in the metadata, unless a program put something there that is none."""
    name = one_line(name[: 2 * MAX_HEADING_CHARS])
    is_title = name.casefold() not in _UNTITLED and not _FILE_NAME.fullmatch(name)
    return name if is_title and len(name) <= MAX_HEADING_CHARS else None


def _usual(lines: Sequence[Line]) -> Usual:
    sizes = Counter[float]()
    for line in lines:
        sizes[_half(line.size)] += len(line.text)
    size = sizes.most_common(1)[0][0]
    drops = [
        (line.baseline - following.baseline) / line.size
        for line, following in pairwise(lines)
        if line.page == following.page and _half(line.size) == _half(following.size) == size
    ]
    return Usual(size, median([drop for drop in drops if 0.8 < drop < 2.5] or [1.2]))


def _half(size: float) -> float:
    """A size of type in steps of half a point."""
    return round(2 * size) / 2


def _blocks(lines: Sequence[Line], usual: Usual) -> Iterator[Block]:
    """Lines joined to paragraphs, headings, code and the rows of tables."""
    kinds = _kinds(lines, usual)
    block: list[Line] = []
    for number, line in enumerate(lines):
        if block and (kinds[number] != kinds[number - 1] or _begins_anew(kinds[number], block, line, usual)):
            yield _block(kinds[number - 1], block, usual)
            block = []
        block.append(line)
    yield _block(kinds[-1], block, usual)


def _kinds(lines: Sequence[Line], usual: Usual) -> list[BlockKind]:
    rows = _rows(lines, usual)
    return [_kind(lines, number, usual, is_row=number in rows) for number in range(len(lines))]


def _kind(lines: Sequence[Line], number: int, usual: Usual, *, is_row: bool) -> BlockKind:
    line = lines[number]
    if _is_leader(line.text):
        return "prose"
    if line.mono >= SET_IN and line.text[0] not in _BULLETS:
        return "code"
    return "row" if is_row else "heading" if _is_set_off(lines, number, usual) else "prose"


def _is_leader(text: str) -> bool:
    """Is this an entry of a table of contents, with dots that lead to the number of the page?"""
    return _LEADER.search(text[-MAX_LEADER_CHARS:]) is not None


def _rows(lines: Sequence[Line], usual: Usual) -> set[int]:
    """Lines of several cells, one above the other, are rows of a table."""
    pairs = ((number, *pair) for number, pair in enumerate(pairwise(lines)))
    return {
        row
        for number, line, following in pairs
        if _is_above(line, following, usual)
        for row in (number, number + 1)
    }


def _is_above(line: Line, following: Line, usual: Usual) -> bool:
    """Do the cells of two lines stand above one another, and are these no lines of justified prose?"""
    few, many = sorted((line.cells, following.cells), key=len)
    if line.page != following.page or len(few) < 2 or _is_justified(line, following, usual):
        return False
    narrower, wider = sorted(max(each.gaps) for each in (line, following))
    if narrower < MIN_ROW_GAP / 2 or wider < MIN_ROW_GAP:
        return False
    return all(any(cell.left < other.right and other.left < cell.right for other in many) for cell in few)


def _is_justified(line: Line, following: Line, usual: Usual) -> bool:
    """Do two lines that are close together reach from edge to edge, each with gaps that are much the same?"""
    gaps = (line.gaps, following.gaps)
    are_even = all(max(each) < min(2 * min(each), MAX_JUSTIFIED_GAP) for each in gaps)
    same_edges = abs(line.left - following.left) < 1 and abs(line.right - following.right) < 1
    return are_even and same_edges and _is_close(line, following, usual)


def _is_set_off(lines: Sequence[Line], number: int, usual: Usual) -> bool:
    """Does the type of a line differ from the prose's as that of a heading does, and the line stand alone?"""
    line = lines[number]
    if not _is_bigger(line, usual) and not (line.bold >= SET_IN and line.size > usual.size - 1):
        return False
    runs_on = any(_runs_on(*pair, usual) for pair in pairwise(lines[max(0, number - 1) : number + 2]))
    return not runs_on and _LETTER.search(line.text) is not None


def _is_bigger(line: Line, usual: Usual) -> bool:
    return line.size >= BIGGER * usual.size


def _runs_on(line: Line, following: Line, usual: Usual) -> bool:
    """Do two lines of one size stand close together, with the second in mid-sentence?"""
    is_alike = abs(line.size - following.size) < 1 and not _is_bigger(line, usual)
    return is_alike and _is_close(line, following, usual) and following.text[0].islower()


def _is_close(line: Line, following: Line, usual: Usual) -> bool:
    drop = (line.baseline - following.baseline) / following.size
    return line.page == following.page and 0 < drop <= MAX_LEADING * usual.leading


def _begins_anew(kind: BlockKind, block: Sequence[Line], line: Line, usual: Usual) -> bool:
    """Does a line begin a block of its own, although it is of the same kind as the one before it?"""
    last = block[-1]
    if kind in ("row", "code"):
        return kind == "row"
    if marker_end(line.text) or split_label(line.text)[1] or _is_leader(last.text):
        return True
    if abs(line.size - last.size) > 0.1 * last.size:
        return True
    if kind == "heading":
        return not _is_close(last, line, usual) or (last.bold >= SET_IN) != (line.bold >= SET_IN)
    if line.page != last.page or line.baseline > last.baseline:
        return not _goes_on(last, line)
    if not _is_close(last, line, usual) or _is_indented(block, line):
        return True
    return not (_hangs(block, line) or _is_wrapped(last, line))


def _goes_on(last: Line, line: Line) -> bool:
    """Does a paragraph go on in the next column or on the next page?"""
    is_open = not ends_sentence(last.text, 0, len(last.text))
    return is_open and (_is_wrapped(last, line) or not line.text[0].isupper())


def _is_indented(block: Sequence[Line], line: Line) -> bool:
    """Does a line begin further in than the one above it, or further out than all but the first?"""
    indent = (line.left - block[-1].left) / line.size
    is_item = marker_end(block[0].text) > 0
    further_in = indent > INDENT and not (is_item and len(block) == 1)
    return further_in or (indent < -INDENT and (is_item or len(block) > 1))


def _hangs(block: Sequence[Line], line: Line) -> bool:
    """Is a line the second of a list item, below its text?"""
    return len(block) == 1 and marker_end(block[0].text) > 0 and line.left > block[0].left + 0.3 * line.size


def _is_wrapped(last: Line, line: Line) -> bool:
    """Is the next line's first word too long for the end of the last, or does its sentence go on?"""
    word = len(line.text.split(maxsplit=1)[0]) / len(line.text) * (line.right - line.left)
    is_full = last.right + word > last.margin or _broken(last.text) is not None
    return is_full or not (ends_sentence(last.text, 0, len(last.text)) or line.text[0].isupper())


def _block(kind: BlockKind, lines: Sequence[Line], usual: Usual) -> Block:
    """Lines of one kind; those set off from the prose are a heading or question if they read like it."""
    if kind == "heading":
        text = " ".join(line.text for line in lines)
        if len(text) > MAX_HEADING_CHARS or text.endswith((".", ",", ";", ":")):
            kind = "prose"
        elif text.endswith("?") and not _is_bigger(lines[0], usual):
            kind = "question"
    return Block(kind, tuple(lines))


def _pieces(blocks: Sequence[Block], labels: Sequence[str]) -> Iterator[Piece]:
    """`labels` are those of the pages."""
    words = frozenset(word for block in blocks for line in block.lines for word in _words(line.text))
    levels = _levels(blocks)
    above = ""
    for kind, group in groupby(blocks, key=lambda block: block.kind):
        if kind == "row":
            yield from _table([block.lines[0] for block in group], labels)
            above = kind
            continue
        for block in group:
            text, places = _join(block, words, labels)
            piece = _piece(block.kind, text, levels.get(_style(block), 0))
            gap = "\n" if piece.kind == above == "list_item" else "\n\n"
            yield replace(piece, gap=gap, places=places)
            above = piece.kind


def _piece(kind: BlockKind, text: str, level: int) -> Piece:
    if kind == "heading":
        return Piece("heading", text, level=level)
    if kind in ("code", "question"):
        return Piece(kind, text)
    if _is_leader(text):
        return Piece("metadata", text)
    if at := marker_end(text):
        return Piece("list_item", text[at:], text[:at])
    labelled, at = split_label(text)
    return Piece(labelled or "paragraph", text[at:], text[:at])


def _settle_front(pieces: Sequence[Piece]) -> list[Piece]:
    """On a title page, what looks like a heading and heads nothing is an author, a date or an address."""
    front = next((place for place, piece in enumerate(pieces) if piece.kind != "heading"), len(pieces))
    settled = list(pieces)
    level = 0  # of the heading that follows
    for place in reversed(range(1, front)):
        if 0 < level <= pieces[place].level:
            settled[place] = replace(pieces[place], kind="metadata", level=0)
        else:
            level = pieces[place].level
    return settled


def _table(rows: Sequence[Line], labels: Sequence[str]) -> Iterator[Piece]:
    """The first row is a header when it alone is in bold type."""
    is_bold = [row.bold >= SET_IN for row in rows]
    first: PieceKind = "table_header" if is_bold[0] and not all(is_bold) else "top_row"
    for number, row in enumerate(rows):
        text = " | ".join(cell.text for cell in row.cells)
        gap = "\n" if number else "\n\n"
        yield Piece("table_row" if number else first, text, gap=gap, places=(Place(0, labels[row.page]),))


def _join(block: Block, words: Collection[str], labels: Sequence[str]) -> tuple[str, tuple[Place, ...]]:
    """The text of a block's lines, and where in it each page begins."""
    lines = _code(block.lines) if block.kind == "code" else _prose(block.lines, words)
    texts: list[str] = []
    places: list[Place] = []
    at = 0
    for line, text in zip(block.lines, lines, strict=True):
        if not places or places[-1].label != labels[line.page]:
            places.append(Place(at, labels[line.page]))
        texts.append(text)
        at += len(text)
    return "".join(texts).rstrip(), tuple(places)


def _code(lines: Sequence[Line]) -> Iterator[str]:
    margin = min(line.left for line in lines)
    for line in lines:
        width = (line.right - line.left) / len(line.text)
        columns = round((line.left - margin) / width) if width > 0 else 0
        yield " " * min(columns, MAX_CODE_INDENT) + line.text + "\n"


def _prose(lines: Sequence[Line], words: Collection[str]) -> Iterator[str]:
    for line, following in pairwise(lines):
        yield _open_end(line.text, following.text, words)
    yield lines[-1].text


def _open_end(text: str, following: str, words: Collection[str]) -> str:
    """A line as the next one goes on: a hyphen that divides a word goes, one that belongs to it stays."""
    broken = _broken(text)
    rest = _WORD.match(following)
    if broken is None or rest is None:
        return f"{text} "
    whole, parted = broken + rest[0], f"{broken}-{rest[0]}"
    keeps = not rest[0][0].islower() or (parted.casefold() in words and whole.casefold() not in words)
    return text if keeps else text[:-1]


def _broken(text: str) -> str | None:
    """The beginning of the word that a hyphen at the end of a line divides."""
    match = _BROKEN.search(text[-MAX_WORD_CHARS:])
    return match[1] if match else None


def _words(text: str) -> list[str]:
    """The words of a line but the one that a hyphen at its end breaks off."""
    words = _WORD.findall(text.casefold())
    return words if _broken(text) is None else words[:-1]


def _levels(blocks: Sequence[Block]) -> dict[tuple[float, bool, int], int]:
    """The level of each style of heading: larger type stands further out, then bold, then "2" than "2.1"."""
    styles = {_style(block) for block in blocks if block.kind == "heading"}
    return {style: level for level, style in enumerate(sorted(styles), 1)}


def _style(block: Block) -> tuple[float, bool, int]:
    line = block.lines[0]
    number = _SECTION_NUMBER.match(line.text)
    return -_half(line.size), line.bold < SET_IN, number[1].count(".") if number else 0
