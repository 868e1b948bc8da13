"""A table of an RTF, whose rows are defined apart from the cells in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from index.formats.inline import Run, lines_of
from index.formats.office import Item, Row, Style
from index.formats.pieces import Cell


class Paragraph(NamedTuple):
    runs: Sequence[Run]
    style: Style | None = None
    item: Item | None = None
    indent: int = 0  # as that of a list, by levels


class _Row(NamedTuple):
    cells: Sequence[Sequence[Paragraph]]
    merged: Sequence[bool]  # with the cell above, by column
    header: bool
    ruled: bool  # a line below each cell


class Table:
    """The open table: the rows that have ended, and what is open of the next."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._cells: list[list[Paragraph]] = []
        self._cell: list[Paragraph] = []
        self._define_row()

    def define(self, word: str) -> None:
        """A control word of the row's definition, which stands before its cells or after them."""
        match word:
            case "trowd":
                self._define_row()
            case "trhdr":
                self._header = True
            case "clbrdrb":
                self._lines += 1
            case "clvmrg":
                self._merges = True
            case "cellx":
                self._merged.append(self._merges)
                self._merges = False

    def add(self, paragraph: Paragraph) -> None:
        """A paragraph of the open cell."""
        self._cell.append(paragraph)

    def end_cell(self) -> None:
        self._cells.append(self._cell)
        self._cell = []

    def end_row(self) -> None:
        if self._cells:
            ruled = self._lines >= len(self._cells)
            self._rows.append(_Row(self._cells, self._merged, self._header, ruled))
        self._cells = []

    def is_layout(self) -> bool:
        """Does the table only divide the page: with one column or row?"""
        self._end()
        return len(self._rows) < 2 or max(len(row.cells) for row in self._rows) < 2

    def paragraphs(self) -> list[Paragraph]:
        return [paragraph for row in self._rows for cell in row.cells for paragraph in cell]

    def rows(self) -> list[Row]:
        """The first is the header when it is in bold type or, other than the second, has a line below it."""
        told: list[Row] = []
        for number, row in enumerate(self._rows):
            lines = [[line for one in cell for line in lines_of(one.runs)] for cell in row.cells]
            merged = [*row.merged, *[False] * len(lines)]
            cells = [
                Cell(" ".join(line.text for line in cell), merged=of)
                for cell, of in zip(lines, merged, strict=False)
            ]
            strong = all(line.strong for cell in lines for line in cell)
            stands_out = number == 0 and (strong or (row.ruled and not self._rows[1].ruled))
            told.append(Row(cells, row.header or stands_out))
        return told

    def _define_row(self) -> None:
        self._merged: list[bool] = []
        self._merges = False  # of the cell that is being defined
        self._header = False
        self._lines: int = 0  # below cells

    def _end(self) -> None:
        """A file that breaks off leaves a cell or row open."""
        if self._cell:
            self.end_cell()
        self.end_row()
