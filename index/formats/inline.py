"""Inline Markdown → clean text: what a person reads, without markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from markdown_it.token import Token

_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class InlineLine:
    """The clean text of one line of a paragraph."""

    text: str
    strong: bool  # all of its words stand in bold type
    set_off: bool  # all of its words stand in bold or italic type
    opening: str  # what stands in bold type at its beginning
    hard_break: bool  # the author asked for a line end after it
    runs_on: bool  # its bold or italic type goes on in the next line


class _Run(NamedTuple):
    text: str
    strong: bool  # in bold type
    set_off: bool  # in bold or italic type


def inline_lines(tokens: Sequence[Token]) -> list[InlineLine]:
    """The lines of an inline token's children that are not blank.

    Links keep their text, images their description, code its content; HTML tags and references to footnotes
    are dropped, and entities have been decoded by the parser.
    """
    lines: list[InlineLine] = []
    runs: list[_Run] = []
    strong = emphasis = 0
    for token in tokens:
        strong += token.nesting if token.tag == "strong" else 0
        emphasis += token.nesting if token.tag == "em" else 0
        if token.type in ("softbreak", "hardbreak") or _is_break(token):
            hard_break, runs_on = token.type != "softbreak", strong + emphasis > 0
            lines.append(_line(runs, hard_break=hard_break, runs_on=runs_on))
            runs = []
        elif content := _content(token):
            runs.append(_Run(content, strong > 0, strong + emphasis > 0))
    lines.append(_line(runs, hard_break=False, runs_on=False))
    return [line for line in lines if line.text]


def join_lines(lines: Sequence[InlineLine]) -> str:
    """One text: a line end where the author asked for one, a space where the source merely wraps."""
    return "".join(line.text + ("\n" if line.hard_break else " ") for line in lines).rstrip()


def clean_text(tokens: Sequence[Token]) -> str:
    """The text of an inline token's children as a person reads it."""
    return join_lines(inline_lines(tokens))


def _line(runs: Sequence[_Run], *, hard_break: bool, runs_on: bool) -> InlineLine:
    text = "".join(run.text for run in runs).strip()
    words = [run for run in runs if any(map(str.isalnum, run.text))]
    opening = "".join(run.text for run in takewhile(lambda run: run.strong, runs)).strip()
    strong, set_off = all(run.strong for run in words), all(run.set_off for run in words)
    return InlineLine(text, strong, set_off, opening, hard_break, runs_on)


def _is_break(token: Token) -> bool:
    return token.type == "html_inline" and _BREAK_TAG.fullmatch(token.content) is not None


def _content(token: Token) -> str:
    if token.type == "image":
        return clean_text(token.children or [])
    return token.content if token.type in ("text", "code_inline") else ""
