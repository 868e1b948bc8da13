"""Runs of text that stand somewhere on pages → lines in the order in which a person reads them.

Programs write a page in that order nearly always, column after column, so the order of the file is kept
unless it goes back and forth between two columns or jumps about. Running heads and page numbers go.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from index.formats.lines import marker_end

MIN_CELL_GAP = 0.4
"""A wider gap, in units of the size of the type, may divide the cells of a row."""

MIN_SPACE = 0.1
"""A gap as wide as this is a space between words."""

MAX_MARKER_CHARS = 8
MAX_PAGE_NUMBER_CHARS = 30

MIN_COLUMN_LINES = 4
MAX_COLUMN_DEPTH = 3
MIN_GUTTER = 0.8
"""The white space between columns is as wide as this at least, in units of the size of the type."""

MIN_FILL = 0.6
"""Prose fills as much of its column's width; the cells of a table do not."""

MAX_JUMPS = 0.1
"""The share of the lines of a page that may stand above the one before them."""

EDGE_LINES = 2
"""As many lines at the top and at the bottom of a page may be running heads."""

MIN_HEAD_GAP = 1.6
"""Running heads are further from the text than its lines from one another, in units of the type's size."""

COLUMN_STEP = 36.0
"""Lines that begin within as many points (half an inch) belong to one column."""

_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_ROMAN = r"(?=[ivxlc])c{0,3}(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})"
_PAGE_NUMBER = re.compile(
    rf"\W*(?:page|p\.)?\W*(?:\d{{1,4}}|{_ROMAN})\W*(?:(?:of|/)\W*\d{{1,4}})?\W*", re.IGNORECASE
)


class Run(NamedTuple):
    """Text of one line up to a wide gap, in points; `bold` and `mono` are shares of its characters."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    bold: float
    mono: float


class Line(NamedTuple):
    """What stands on one line of a column."""

    text: str
    cells: tuple[Run, ...]  # divided by gaps wide enough for a table's
    baseline: float
    size: float
    bold: float
    mono: float
    page: int
    margin: float = 0.0  # how far to the right the lines of its column reach

    @property
    def left(self) -> float:
        return self.cells[0].left

    @property
    def right(self) -> float:
        return self.cells[-1].right

    @property
    def gaps(self) -> tuple[float, ...]:
        """The gaps between the cells, in units of the size of the type."""
        return tuple((following.left - cell.right) / self.size for cell, following in pairwise(self.cells))


def read_lines(pages: Iterable[Sequence[Run]]) -> list[Line]:
    """The lines of all pages in reading order, without running heads and page numbers."""
    lines = [list(_page_lines(_in_order(runs), number)) for number, runs in enumerate(pages)]
    heads = _running_heads(lines)
    return [line for page in lines for line in _with_margins([line for line in page if line not in heads])]


def _in_order(runs: Sequence[Run], depth: int = MAX_COLUMN_DEPTH) -> list[Run]:
    gutter = _gutter(runs) if depth else None
    if gutter is None:
        return _downwards(runs)
    ordered: list[Run] = []
    columns: tuple[list[Run], list[Run]] = [], []
    for run in sorted(runs, key=lambda run: -run.baseline):
        if run.left < gutter < run.right:
            ordered += [each for column in columns for each in _in_order(column, depth - 1)] + [run]
            columns = [], []
        else:
            columns[run.left >= gutter].append(run)
    return ordered + [each for column in columns for each in _in_order(column, depth - 1)]


def _downwards(runs: Sequence[Run]) -> list[Run]:
    """The order of the file, unless it jumps about."""
    jumps = sum(following.baseline > run.baseline + run.size for run, following in pairwise(runs))
    if jumps <= MAX_JUMPS * len(runs):
        return list(runs)
    return sorted(runs, key=lambda run: (-round(run.baseline / 2), run.left))


def _gutter(runs: Sequence[Run]) -> float | None:
    """The middle of the white space between two columns that the file goes back and forth between."""
    gap = _widest_gap(runs)
    if gap is None:
        return None
    sides = [
        [run for run in runs if run.right <= gap],
        [run for run in runs if run.left >= gap],
    ]
    beside = [run.left >= gap for run in runs if not run.left < gap < run.right]
    changes = sum(before != after for before, after in pairwise(beside))
    fewest = min(len({round(run.baseline) for run in side}) for side in sides)
    if fewest < MIN_COLUMN_LINES or changes < fewest:
        return None
    width = min(run.left for run in sides[1]) - min(run.left for run in sides[0])
    return gap if all(_usual_length(side) > MIN_FILL * width for side in sides) else None


def _widest_gap(runs: Sequence[Run]) -> float | None:
    """The middle of the widest strip near the middle of a page that the fewest runs cross."""
    if not runs:
        return None
    first, last = min(run.left for run in runs), max(run.right for run in runs)
    size = median(run.size for run in runs)
    changes = Counter[float]()
    for run in runs:
        changes[run.left] += 1
        changes[run.right] -= 1
    crossing, strips = 0, []
    for start, end in pairwise(sorted(changes)):
        crossing += changes[start]
        middle = (start + end) / 2
        if end - start >= MIN_GUTTER * size and 0.2 < (middle - first) / (last - first) < 0.8:
            strips.append((crossing, start - end, middle))
    return min(strips)[2] if strips else None


def _usual_length(column: Sequence[Run]) -> float:
    """How much text, in points, stands on the usual line of a column."""
    lengths = Counter[int]()
    for run in column:
        lengths[round(run.baseline)] += round(run.right - run.left)
    return median(lengths.values())


def _page_lines(runs: Sequence[Run], page: int) -> Iterator[Line]:
    """Runs that follow one another on one baseline are a line."""
    line: list[Run] = []
    for run in runs:
        if line and not _is_beside(line[-1], run):
            yield _line(line, page)
            line = []
        line.append(run)
    if line:
        yield _line(line, page)


def _is_beside(run: Run, following: Run) -> bool:
    size = max(run.size, following.size)
    return abs(run.baseline - following.baseline) < 0.4 * size and following.left > run.right - 0.5 * size


def _line(runs: Sequence[Run], page: int) -> Line:
    """A line with its cells; the marker of a list item stands with the item."""
    cells = [[runs[0]]]
    for before, run in pairwise(runs):
        is_apart = run.left - before.right > MIN_CELL_GAP * run.size
        if is_apart and not (before is runs[0] and _is_marker(before.text)):
            cells.append([run])
        else:
            cells[-1].append(run)
    merged = tuple(map(_merge, cells))
    whole = _merge(merged)
    return Line(whole.text, merged, whole.baseline, whole.size, whole.bold, whole.mono, page)


def _is_marker(text: str) -> bool:
    return marker_end(f"{text[:MAX_MARKER_CHARS]} x") == len(text) + 1


def _merge(runs: Sequence[Run]) -> Run:
    """Runs beside one another as one, with a space where there is a gap; the longest says how large it is."""
    pieces = [runs[0].text]
    for before, run in pairwise(runs):
        pieces += [" " if run.left - before.right > MIN_SPACE * run.size else "", run.text]
    longest = max(runs, key=lambda run: len(run.text))
    length = sum(len(run.text) for run in runs)
    bold = sum(run.bold * len(run.text) for run in runs) / length
    mono = sum(run.mono * len(run.text) for run in runs) / length
    right = max(run.right for run in runs)
    return Run("".join(pieces), runs[0].left, right, longest.baseline, longest.size, bold, mono)


def _with_margins(lines: Sequence[Line]) -> Iterator[Line]:
    """Lines of one page, each with the right margin of the lines that begin near where it does."""
    margins: dict[int, float] = {}
    for line in lines:
        column = round(line.left / COLUMN_STEP)
        margins[column] = max(line.right, margins.get(column, line.right))
    for line in lines:
        column = round(line.left / COLUMN_STEP)
        yield line._replace(
            margin=max(margins.get(near, line.right) for near in (column - 1, column, column + 1))
        )


def _running_heads(pages: Sequence[Sequence[Line]]) -> set[Line]:
    """Lines at the edges of pages, at a height where most lines are page numbers or repeat."""
    edges = [line for page in pages for line in _edge_lines(page)]
    names = Counter(name for name, _ in {(_name(line), line.page) for line in edges})
    heights = Counter(map(_height, edges))
    repeated = Counter(_height(line) for line in edges if names[_name(line)] > 1)
    outermost = {line for page in pages for line in _outermost(page)}
    return {
        line
        for line in edges
        if (repeated[_height(line)] > 1 and 2 * repeated[_height(line)] >= heights[_height(line)])
        or (line in outermost and _is_page_number(line.text))
    }


def _is_page_number(text: str) -> bool:
    return len(text) <= MAX_PAGE_NUMBER_CHARS and _PAGE_NUMBER.fullmatch(text) is not None


def _edge_lines(page: Sequence[Line]) -> list[Line]:
    """The lines at the top and at the bottom that are set apart from what stands between them."""
    heights = sorted({line.baseline for line in page})
    edges = {*_set_apart(heights, page), *_set_apart(heights[::-1], page)}
    return [line for line in page if line.baseline in edges]


def _set_apart(heights: Sequence[float], page: Sequence[Line]) -> Sequence[float]:
    """The first of some heights, up to a wide gap."""
    size = median(line.size for line in page) if page else 0.0
    for number, (height, following) in enumerate(pairwise(heights[: EDGE_LINES + 1]), 1):
        if abs(following - height) > MIN_HEAD_GAP * size:
            return heights[:number]
    return heights if len(heights) <= EDGE_LINES else ()


def _outermost(page: Sequence[Line]) -> list[Line]:
    heights = [line.baseline for line in page]
    edges = (min(heights, default=0.0), max(heights, default=0.0))
    return [line for line in page if line.baseline in edges]


def _name(line: Line) -> tuple[str, int]:
    """What is the same in a running head on every page, and where it stands."""
    return _NUMBER.sub("#", line.text), _height(line)


def _height(line: Line) -> int:
    return round(line.baseline / 2)
