"""Tables and records (CSV, TSV, JSON, JSON Lines): questions with their answers, or rows.

Where columns are named like those of an export of questions and answers, each record is a question and its
answer, and a column of categories becomes headings. Any other table is one: a row is quoted with its header.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from index.document import Parsed, one_line
from index.errors import DocumentError
from index.formats.decoding import tidy
from index.formats.html_text import html_texts
from index.formats.lines import read_page
from index.formats.parts import PartList, Stretch, lay_out

MAX_COLUMNS = 1_000
"""A wider table is a matrix: nothing in it reads as a sentence."""

MAX_DELIMITERS = 100_000
"""In one row, those inside its cells included."""

MAX_CELLS = 5_000_000
"""Of a table that is made of records, empty ones included."""

MAX_NESTING = 6
"""Lists and objects around a record of a JSON file; what stands deeper is none."""

DELIMITERS = ",;\t|"
SAMPLE_LINES = 20
SAMPLE_CHARS = 20_000
"""As much of a table is looked at to find what divides its cells."""

MAX_NAME_CHARS = 40
"""A longer first cell is no name of a column."""

ASKING_SHARE = 0.5
"""A column of which more cells than this end with "?" holds questions, whatever it is called."""

# What the columns of questions and of their answers are called, in lower case and with letters only.
_PAIRS = (
    (
        ("question", "questiontext", "faqquestion", "q"),
        ("answer", "answertext", "faqanswer", "a", "response"),
    ),
    (("name",), ("acceptedanswer",)),  # FAQPage of schema.org
    (("prompt", "instruction", "query"), ("response", "completion", "output", "answer")),
    (("title", "subject"), ("body", "content", "answer")),
)
_TITLES = frozenset({"title", "subject"})
_CATEGORIES = ("category", "section", "topic", "chapter", "group")

_OTHER = re.compile(r"[\W\d_]+")
_NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?%?")
_HTML = re.compile(r"</?(?:p|br|div|[uo]l|li|a|b|strong|em|i|span|h[1-6])\b[^<>]*>", re.IGNORECASE)
_SEPARATOR = re.compile(r"sep=([,;\t|])\n")

PieceKind = Literal["category", "title", "question", "paragraph", "list_item"]


class Pair(NamedTuple):
    """A question, or a title, and what stands under it."""

    category: str
    title: str
    question: str
    answer: str


class _Columns(NamedTuple):
    """The names of the columns of a pair."""

    question: str
    answer: str
    category: str | None
    is_title: bool  # what stands in the first is a question only if it ends like one


def parse_csv(source: str) -> Parsed:
    """A table with commas, semicolons, tabs or bars between its cells.

    Raises DocumentError when a row has too many cells or a cell is too long.
    """
    separator = _SEPARATOR.match(source)  # Excel writes this
    if separator:
        return _read_table(source[separator.end() :], separator[1])
    return _read_table(source, _delimiter(source))


def parse_tsv(source: str) -> Parsed:
    """A table with tabs between its cells. Raises DocumentError as `parse_csv` does."""
    return _read_table(source, "\t")


def parse_json(source: str) -> Parsed:
    """JSON Lines, or a JSON file with a list of records in it.

    Raises DocumentError when it is no JSON or holds no records.
    """
    value = _load(source)
    if pairs := list(_find_pairs(value, "", MAX_NESTING)):
        return _compose_pairs(pairs)
    records = [record for record in value if isinstance(record, dict)] if isinstance(value, list) else []
    if not records:
        raise DocumentError("this JSON holds no list of records, such as questions with their answers")
    return _compose_table(_rows_of(records), has_header=True)


# Tables


def _delimiter(source: str) -> str:
    """The one that divides most of the first lines into as many cells as the first of them."""
    lines = source[:SAMPLE_CHARS].split("\n")[:SAMPLE_LINES]
    scores = {delimiter: _fit(lines, delimiter) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=scores.__getitem__)


def _fit(lines: Sequence[str], delimiter: str) -> tuple[int, int]:
    """How many rows are as wide as the first, and how wide that is; nothing if that is one cell."""
    widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    return (widths.count(widths[0]), widths[0]) if widths and widths[0] > 1 else (0, 0)


def _read_table(source: str, delimiter: str) -> Parsed:
    rows = list(_rows(source, delimiter))
    if not rows:
        return Parsed("", ())
    if columns := _pair_columns(rows[0]):
        return _compose_pairs([_pair(dict(zip(rows[0], row, strict=False)), columns) for row in rows[1:]])
    if found := _asking_columns(rows):
        cells = (_cells(row, *found) for row in rows)
        pairs = [Pair("", "", one_line(question), _text(answer)) for question, answer in cells]
        return _compose_pairs(pairs if pairs[0].question.endswith("?") else pairs[1:])
    return _compose_table(rows, has_header=not any(map(_NUMBER.fullmatch, rows[0])))


def _cells(row: Sequence[str], *columns: int) -> list[str]:
    return [row[column] if column < len(row) else "" for column in columns]


def _rows(source: str, delimiter: str) -> Iterator[list[str]]:
    """The rows that are not blank."""
    delimiters = 0  # since the last row

    def lines() -> Iterator[str]:
        nonlocal delimiters
        for line in io.StringIO(source, newline=""):
            delimiters += line.count(delimiter)
            if delimiters > MAX_DELIMITERS:
                raise DocumentError(f"line {reader.line_num + 1} has more than {MAX_DELIMITERS:,} cells")
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    try:
        for row in reader:
            delimiters = 0
            _check_width(len(row))
            if any(map(str.strip, row)):
                yield row
    except csv.Error as error:
        raise DocumentError(f"line {reader.line_num + 1} belongs to no table ({error})") from error


def _check_width(width: int) -> None:
    if width > MAX_COLUMNS:
        raise DocumentError(f"the table has {width:,} columns, and Quoth reads up to {MAX_COLUMNS:,}")


def _asking_columns(rows: Sequence[Sequence[str]]) -> tuple[int, int] | None:
    """Where questions stand in a table that does not say so, and the longest other cells: the answers."""
    width = len(rows[0])
    sizes = [sum(len(cell) for row in rows for cell in row[column : column + 1]) for column in range(width)]
    for column in range(width):
        cells = [row[column].strip() for row in rows[1:] if len(row) > column]
        if sum(cell.endswith("?") for cell in cells) > ASKING_SHARE * len(cells):
            others = [other for other in range(width) if other != column]
            return (column, max(others, key=sizes.__getitem__)) if others else None
    return None


def _compose_table(rows: Sequence[Sequence[str]], *, has_header: bool) -> Parsed:
    lines = [" | ".join(map(one_line, row)).strip() for row in rows]
    text, spans = lay_out([Stretch("\n", "", line) for line in lines])
    parts = PartList(text)
    for number, span in enumerate(spans):
        if number == 0 and has_header:
            parts.table_header(*span)
        else:
            parts.table_row(*span)
    return Parsed(text, tuple(parts.parts))


# Records


def _load(source: str) -> Any:
    """The value of a JSON file, or the values of its lines."""
    lines = [(number, line) for number, line in enumerate(source.split("\n"), 1) if line.strip()]
    try:
        if len(lines) > 1 and _is_json(lines[0][1]):
            return [_value(line, number) for number, line in lines]
        return _value(source, 1)
    except RecursionError:
        raise DocumentError("the lists and objects of this JSON are nested too deep") from None


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _value(source: str, line: int) -> Any:
    try:
        return json.loads(source)
    except json.JSONDecodeError as error:
        raise DocumentError(f"line {line + error.lineno - 1} is no JSON ({error.msg})") from None
    except ValueError:
        raise DocumentError(f"a number in line {line} has too many digits") from None


def _find_pairs(value: Any, category: str, depth: int) -> Iterator[Pair]:
    """The pairs in lists and objects, under the category that the nearest object around them names."""
    if depth == 0:
        return
    if isinstance(value, list):
        for item in value:
            yield from _find_pairs(item, category, depth - 1)
    elif isinstance(value, dict):
        if columns := _pair_columns(value):
            pair = _pair(value, columns)
            yield pair._replace(category=pair.category or category)
        else:
            yield from _find_inside(value, category, depth)


def _find_inside(record: Mapping[str, Any], category: str, depth: int) -> Iterator[Pair]:
    names = {_plain(key): _text(item) for key, item in record.items() if isinstance(item, str)}
    category = next((names[name] for name in (*_CATEGORIES, "title", "name") if names.get(name)), category)
    for key, item in record.items():
        if isinstance(item, str) and key.rstrip().endswith("?"):
            yield Pair(category, "", _text(key), _text(item))
        elif isinstance(item, list | dict):
            yield from _find_pairs(item, category, depth - 1)


def _rows_of(records: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A table with every key as a column."""
    names = list(dict.fromkeys(name for record in records for name in record))
    _check_width(len(names))
    if len(names) * len(records) > MAX_CELLS:
        raise DocumentError("the records of this JSON have too many different keys")
    rows = [[_text(record.get(name)) for name in names] for record in records]
    return [list(map(_text, names)), *(row for row in rows if any(row))]


# Pairs


def _pair_columns(names: Iterable[str]) -> _Columns | None:
    """The columns of questions and answers, if they are called so."""
    by_name = {_plain(name): name for name in reversed(list(names))}
    for questions, answers in _PAIRS:
        question = next((name for name in questions if name in by_name), None)
        answer = next((name for name in answers if name in by_name), None)
        if question and answer:
            category = next((by_name[name] for name in _CATEGORIES if name in by_name), None)
            return _Columns(by_name[question], by_name[answer], category, question in _TITLES)
    return None


def _plain(name: str) -> str:
    return _OTHER.sub("", name[: MAX_NAME_CHARS + 1]).casefold()


def _pair(record: Mapping[str, Any], columns: _Columns) -> Pair:
    question = one_line(_text(record.get(columns.question)))
    category = one_line(_text(record.get(columns.category))) if columns.category else ""
    is_title = columns.is_title and not question.endswith("?")
    answer = _text(record.get(columns.answer))
    return Pair(category, question, "", answer) if is_title else Pair(category, "", question, answer)


def _text(value: Any, depth: int = 3) -> str:
    """What a value says: a list is paragraphs, and an object has a text (as in schema.org's answers)."""
    match value:
        case str():
            return tidy(value).strip()
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return str(value)
        case list() if depth:
            return "\n\n".join(text for item in value if (text := _text(item, depth - 1)))
        case dict() if depth:
            return _text(value.get("text"), depth - 1)
    return ""


def _compose_pairs(pairs: Iterable[Pair]) -> Parsed:
    pieces = list(_pieces(pairs))
    text, spans = lay_out([piece for _, piece in pieces])
    parts = PartList(text)
    for (kind, piece), (start, end) in zip(pieces, spans, strict=True):
        label = start - len(piece.label) if piece.label else None
        match kind:
            case "category":
                parts.heading(start, end, 1)
            case "title":
                parts.heading(start, end, 2)
            case "question":
                parts.question(start, end)
            case "list_item":
                parts.list_item(start, end, label)
            case _:
                parts.paragraph(start, end, label)
    return Parsed(text, tuple(parts.parts))


def _pieces(pairs: Iterable[Pair]) -> Iterator[tuple[PieceKind, Stretch]]:
    last = ""
    for pair in pairs:
        if pair.category and pair.category != last:
            yield "category", Stretch("\n\n", "", pair.category)
            last = pair.category
        if pair.title or pair.question:
            yield "title" if pair.title else "question", Stretch("\n\n", "", pair.title or pair.question)
            yield from _answer(pair.answer)


def _answer(answer: str) -> Iterator[tuple[PieceKind, Stretch]]:
    """The paragraphs and list items of an answer in plain text or HTML."""
    if _HTML.search(answer):
        for run in html_texts(answer):
            yield "paragraph", Stretch("\n", "", run.text)
        return
    page = read_page(answer)
    for item in page.items:
        label = page.text[item.label_start : item.start]
        kind: PieceKind = "list_item" if item.kind in ("bullet", "number") else "paragraph"
        yield kind, Stretch("\n", label, page.text[item.start : item.end])
