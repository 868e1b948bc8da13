"""Markdown (CommonMark, tables, strikethrough, footnotes, front matter) → clean text with its parts.

Soft line breaks are spaces, links keep their text, HTML tags and references to footnotes are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin

from index.document import Parsed
from index.formats.front_matter import SHOWN, split_front_matter
from index.formats.html_text import html_texts
from index.formats.inline import InlineLine, Run, join_lines, lines_of
from index.formats.pieces import Cell, Piece, PieceList, compose
from index.formats.text import parse_text
from index.formats.transcript import MIN_STAMPS, find_transcript

MAX_NESTING = 100
"""Deeper lists and quotations than these markdown-it does not read: it would drop what stands in them."""

MAX_BRACKETS = 20
"""Brackets nested deeper than those of any link; looking for links among them takes long."""


def parse_markdown(source: str) -> Parsed:
    """The clean text and the parts of a Markdown file with `\\n` line ends.

    One that is nested too deep for Markdown, or is a transcript, is read as plain text.
    """
    fields, body = split_front_matter(source)
    known = [f"{key.capitalize()}: {fields[key]}" for key in SHOWN if key in fields]
    if transcript := _find_transcript(body):
        return replace(parse_text("\n".join([*known, transcript])), title=fields.get("title"))
    tokens = _parser(body).parse(body)
    if max((token.level for token in tokens), default=0) >= MAX_NESTING - 2:
        return parse_text(source)
    shown = [Piece("metadata", line, gap="\n") for line in known]
    return compose(_Reader().read(tokens), fields.get("title"), shown)


def _find_transcript(body: str) -> str | None:
    """What is said, as plain text, where lines begin with a time or a speaker in bold type."""
    stamped = islice(_STAMP.finditer(body), MIN_STAMPS)
    if sum(1 for _ in stamped) < MIN_STAMPS or find_transcript(body.replace("**", "")) is None:
        return None
    return "\n".join(clean_inline(line) if _MARKUP.search(line) else line for line in body.split("\n"))


_STAMP = re.compile(r"^(?=[^\n]{0,100}\d:[0-5]\d)[^\n*]{0,16}\*\*[^\n*]{1,80}\*\*", re.MULTILINE)
_MARKUP = re.compile(r"[*_`~<>&\[\]\\]")


def clean_inline(markdown: str) -> str:
    """The clean text of one inline fragment, as it stands in the text of the document."""
    (token,) = _parser(markdown).parseInline(markdown)
    return _clean_text(token.children or [])


def _parser(source: str) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])
    parser.use(footnote_plugin)
    if _bracket_depth(source) > MAX_BRACKETS:
        parser.disable(["link", "image", "footnote_inline", "footnote_ref"])
    return parser


def _bracket_depth(source: str) -> int:
    """How deep brackets are nested within a paragraph, at most."""
    depth = deepest = 0
    for match in _BRACKET.finditer(source):
        depth = {"[": depth + 1, "]": max(0, depth - 1)}.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest


_BRACKET = re.compile(r"[\[\]]|\n[ \t]*\n")


class _Reader:
    """Makes pieces of tokens."""

    def __init__(self) -> None:
        self._pieces = PieceList()
        self._opener: Token | None = None  # the token before this one
        self._cells: list[Cell] = []  # of the open table row
        self._in_header = False  # of a table

    def read(self, tokens: Sequence[Token]) -> list[Piece]:
        for token in tokens:
            self._read(token)
            self._opener = token
        return self._pieces.pieces

    def _read(self, token: Token) -> None:
        pieces = self._pieces
        match token.type:
            case "bullet_list_open" | "ordered_list_open" | "bullet_list_close" | "ordered_list_close":
                pieces.lists += token.nesting
            case "list_item_open":
                pieces.open_item(f"{token.info}{token.markup}")
            case "list_item_close" | "footnote_close":
                pieces.close_item()
            case "footnote_open":
                pieces.open_note(str(token.meta.get("label", token.meta["id"] + 1)))
            case "blockquote_open" | "blockquote_close":
                pieces.quotes += token.nesting
            case "table_open":
                pieces.open_table()
            case "thead_open" | "thead_close":
                self._in_header = token.nesting > 0
            case "tr_close":
                pieces.row(self._cells, header=self._in_header)
                self._cells = []
            case "table_close":
                pieces.close_table()
            case "inline":
                self._inline(lines_of(_runs(token.children or [])))
            case "fence" | "code_block":
                pieces.code(token.content)
            case "html_block":
                self._html(token.content)

    def _inline(self, lines: Sequence[InlineLine]) -> None:
        opener = self._opener.type if self._opener else ""
        if opener in ("th_open", "td_open"):
            self._cells.append(Cell(join_lines(lines)))
        elif opener == "heading_open" and self._opener:
            self._pieces.heading(join_lines(lines), int(self._opener.tag[1]))
        else:
            self._pieces.paragraph(lines)

    def _html(self, html: str) -> None:
        for run in html_texts(html):
            if run.level:
                self._pieces.heading(run.text, run.level)
            else:
                self._pieces.text(run.text)


_BREAK_TAG = re.compile(r"<br\s*/?>", re.IGNORECASE)


def _runs(tokens: Sequence[Token]) -> Iterator[Run]:
    """The text of an inline token's children: images give their description, code its content."""
    strong = emphasis = 0
    for token in tokens:
        strong += token.nesting if token.tag == "strong" else 0
        emphasis += token.nesting if token.tag == "em" else 0
        yield Run(_content(token), strong > 0, strong + emphasis > 0, soft=token.type == "softbreak")


def _content(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak") or _is_break(token):
        return "\n"
    if token.type == "image":
        return _clean_text(token.children or [])
    return token.content if token.type in ("text", "code_inline") else ""


def _is_break(token: Token) -> bool:
    return token.type == "html_inline" and _BREAK_TAG.fullmatch(token.content) is not None


def _clean_text(tokens: Sequence[Token]) -> str:
    return join_lines(lines_of(_runs(tokens)))
