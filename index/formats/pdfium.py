"""A PDF on standard input → its runs of text as JSON on standard output. Run as a program of its own.

PDFium is C++, is not safe to use from two threads, and gives a hostile file all the memory and time that it
asks for. In a process of its own it can do no harm: `python pdfium.py BYTES SECONDS` limits both.

The first line is `{"title": …}`, what the metadata call the document; each further one a page's
`{"label": …, "runs": [[text, left, right, baseline, size, bold, mono], …]}`. The numbers are points; `bold`
and `mono` are the share of characters in such type (0 to 1). Runs are in the order of the file, and each is
the text of one line up to a wide gap. A line `{"error": …}` ends the output.
"""

from __future__ import annotations

import ctypes
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

MAX_CHARACTERS = 20_000_000
"""A PDF with more text than this is refused: it is a hundred books."""

MAX_RUNS = 1_000_000
"""So is one whose text stands in more pieces: a book has sixty to a page."""

MAX_LABEL_CHARS = 12

MIN_SIZE = 0.1
"""Smaller type, in points, is measured as if it had this size."""

MIN_GAP = 0.45
"""A gap between words that divides a line is at least this wide, in units of the size of the type …"""

GAP_FACTOR = 1.4
"""… and this many times as wide as the narrowest, since justified lines have wide gaps everywhere …"""

WIDE_GAP = 1.0
"""… or wider than this, in units of the size of the type."""

BOLD_WEIGHT = 600

_BOLD_NAME = re.compile(r"bold|black|heavy|demi|cmbx|cmssbx", re.IGNORECASE)
_MONO_NAME = re.compile(r"mono|monl|courier|consol|menlo|typewriter|cmtt|cmsltt", re.IGNORECASE)
_MONO_FLAG, _BOLD_FLAG = 1 << 0, 1 << 18  # FixedPitch and ForceBold: PDF 32000-1:2008, table 123

_LINE_ENDS = frozenset(map(ord, "\r\n"))
_HYPHENS = frozenset((0x02, 0xAD, 0xFFFE))  # what PDFium makes of a hyphen at the end of a line

_ERRORS = {
    pdfium.FPDF_ERR_PASSWORD: "the PDF is encrypted; save it without a password first",
    pdfium.FPDF_ERR_SECURITY: "the PDF is encrypted in a way that Quoth cannot read",
}


class Word(NamedTuple):
    text: str
    left: float
    right: float
    baseline: float
    size: float
    is_bold: bool
    is_mono: bool
    turn: int  # how far it is turned to the left, in quarters


Run = tuple[str, float, float, float, float, float, float]


def main() -> None:
    memory, seconds = map(int, sys.argv[1:])
    _limit(memory, seconds)
    for record in records(sys.stdin.buffer.read()):
        sys.stdout.write(json.dumps(record) + "\n")


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows; whoever started the process ends it in time
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def records(data: bytes) -> Iterator[dict[str, Any]]:
    """What stands in a PDF, or why it cannot be read."""
    try:
        yield from _read(data)
    except pypdfium2.PdfiumError as error:
        yield {"error": _ERRORS.get(error.err_code, "the PDF is damaged: PDFium cannot open it")}


def _read(data: bytes) -> Iterator[dict[str, Any]]:
    document = pypdfium2.PdfDocument(data)
    yield {"title": document.get_metadata_value("Title")}
    characters = pieces = 0
    for number in range(len(document)):
        runs = _page_runs(document, number)
        characters += sum(len(run[0]) for run in runs)
        pieces += len(runs)
        if characters > MAX_CHARACTERS or pieces > MAX_RUNS:
            limit = f"{MAX_CHARACTERS:,} characters or {MAX_RUNS:,} pieces of text"
            yield {"error": f"the PDF holds more than {limit}"}
            return
        label = " ".join(document.get_page_label(number).split())
        yield {"label": label[:MAX_LABEL_CHARS] or str(number + 1), "runs": runs}
    document.close()


def _page_runs(document: pypdfium2.PdfDocument, number: int) -> list[Run]:
    """The runs of a page; none when it is damaged."""
    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        return []
    lines = list(_lines(text_page))
    text_page.close()
    page.close()
    turns = Counter(word.turn for line in lines for word in line)
    usual = turns.most_common(1)[0][0] if turns else 0
    upright = ([word for word in line if word.turn == usual] for line in lines)
    return [_run(words) for line in upright for words in _divide(line)]


def _lines(page: pypdfium2.PdfTextPage) -> Iterator[list[Word]]:
    """The words of each line as PDFium divides the text."""
    line: list[Word] = []
    start = 0
    units = [pdfium.FPDFText_GetUnicode(page, index) for index in range(page.count_chars())]
    for index, unit in enumerate([*units, ord("\n")]):
        is_hyphen = unit in _HYPHENS
        if not is_hyphen and unit > 0x20 and not chr(unit).isspace():
            continue
        if start < index:
            word = _word(page, start, index, _decode(units[start:index]) + "-" * is_hyphen)
            if all(map(math.isfinite, (word.left, word.right, word.baseline, word.size))):
                line.append(word)
        if is_hyphen or unit in _LINE_ENDS:
            yield line
            line = []
        start = index + 1


def _decode(units: Sequence[int]) -> str:
    """UTF-16 code units, which PDFium gives for what is outside the basic plane, become characters."""
    return "".join(map(chr, units)).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _word(page: pypdfium2.PdfTextPage, start: int, end: int, text: str) -> Word:
    x, y, matrix, box = ctypes.c_double(), ctypes.c_double(), pdfium.FS_MATRIX(), pdfium.FS_RECTF()
    pdfium.FPDFText_GetCharOrigin(page, start, x, y)
    pdfium.FPDFText_GetMatrix(page, start, matrix)
    pdfium.FPDFText_GetLooseCharBox(page, end - 1, box)
    size = pdfium.FPDFText_GetFontSize(page, start) * math.hypot(matrix.c, matrix.d)
    angle = math.atan2(matrix.b, matrix.a)
    turn = round(angle / (math.pi / 2)) % 4 if math.isfinite(angle) else 0
    first, baseline = _turn_back(x.value, y.value, turn)
    last = [_turn_back(*corner, turn)[0] for corner in ((box.left, box.bottom), (box.right, box.top))]
    is_bold, is_mono = _type(page, start)
    return Word(
        text, min(first, *last), max(first, *last), baseline, max(size, MIN_SIZE), is_bold, is_mono, turn
    )


def _turn_back(x: float, y: float, turn: int) -> tuple[float, float]:
    """Where a point would stand if the text were upright."""
    return ((x, y), (y, -x), (-x, -y), (-y, x))[turn]


def _type(page: pypdfium2.PdfTextPage, index: int) -> tuple[bool, bool]:
    """Is a character in bold type, and in one whose characters are all of the same width?"""
    buffer, flags = ctypes.create_string_buffer(64), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(page, index, buffer, len(buffer), flags)
    name = buffer.value.decode("utf-8", "replace")
    is_heavy = flags.value & _BOLD_FLAG or pdfium.FPDFText_GetFontWeight(page, index) >= BOLD_WEIGHT
    is_mono = flags.value & _MONO_FLAG or _MONO_NAME.search(name)
    return bool(is_heavy or _BOLD_NAME.search(name)), bool(is_mono)


def _divide(line: Sequence[Word]) -> Iterator[list[Word]]:
    """Divide a line at its wide gaps, and where it goes back."""
    gaps = [following.left - word.right for word, following in pairwise(line)]
    narrowest = min(gaps) if len(gaps) > 1 else 0.0
    words: list[Word] = []
    for word, gap in zip(line, [0.0, *gaps], strict=False):
        limit = min(WIDE_GAP * word.size, max(MIN_GAP * word.size, GAP_FACTOR * narrowest))
        if words and not -word.size <= gap <= limit:
            yield words
            words = []
        words.append(word)
    if words:
        yield words


def _run(words: Sequence[Word]) -> Run:
    length = sum(len(word.text) for word in words)
    bold = sum(len(word.text) for word in words if word.is_bold) / length
    mono = sum(len(word.text) for word in words if word.is_mono) / length
    left, right = min(word.left for word in words), max(word.right for word in words)
    sizes = Counter[float]()
    for word in words:
        sizes[word.size] += len(word.text)
    size = sizes.most_common(1)[0][0]
    return " ".join(word.text for word in words), left, right, words[0].baseline, size, bold, mono


if __name__ == "__main__":
    main()
