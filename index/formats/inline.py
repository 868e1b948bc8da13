"""Runs of text in bold, italic and plain type → the lines of a paragraph as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\n\r\f\v\x85\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class InlineLine:
    """The clean text of one line of a paragraph."""

    text: str
    strong: bool  # all of its words stand in bold type
    set_off: bool  # all of its words stand in bold or italic type
    opening: str  # what stands in bold type at its beginning
    hard_break: bool  # the author asked for a line end after it
    runs_on: bool  # its bold or italic type goes on in the next line


class Run(NamedTuple):
    """Text in one type; "\\n" ends a line, because the author asked for it unless `soft`."""

    text: str
    strong: bool = False  # in bold type
    set_off: bool = False  # in bold or italic type
    soft: bool = False


def join_runs(runs: Iterable[Run]) -> list[Run]:
    """The runs that are not empty, those of one type that follow one another put together."""
    joined: list[Run] = []
    for key, group in groupby(runs, lambda run: run._replace(text="\n" if run.text == "\n" else "")):
        if key.text:
            joined += group
        elif text := "".join(run.text for run in group):
            joined.append(key._replace(text=text))
    return joined


def lines_of(runs: Iterable[Run]) -> list[InlineLine]:
    """The lines that are not blank; white space is one space."""
    lines: list[InlineLine] = []
    line: list[Run] = []
    for run in runs:
        if run.text == "\n":
            lines.append(_line(line, hard_break=not run.soft, runs_on=run.set_off))
            line = []
        elif run.text:
            line.append(run)
    lines.append(_line(line, hard_break=False, runs_on=False))
    return [line for line in lines if line.text]


def join_lines(lines: Sequence[InlineLine]) -> str:
    """One text: a line end where the author asked for one, a space where the source merely wraps."""
    return "".join(line.text + ("\n" if line.hard_break else " ") for line in lines).rstrip()


def _line(runs: Sequence[Run], *, hard_break: bool, runs_on: bool) -> InlineLine:
    words = [run for run in runs if any(map(str.isalnum, run.text))]
    opening = _joined(takewhile(lambda run: run.strong, runs))
    strong, set_off = all(run.strong for run in words), all(run.set_off for run in words)
    return InlineLine(_joined(runs), strong, set_off, opening, hard_break, runs_on)


def _joined(runs: Iterable[Run]) -> str:
    return _SPACE.sub(" ", "".join(run.text for run in runs)).strip()
