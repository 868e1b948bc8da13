"""Markdown (CommonMark, tables, strikethrough, footnotes, front matter) → clean text with its parts.

The text of the document is composed from the parse and holds no markup, so that a quote is both exact and
clean to read: soft line breaks are spaces, links keep their text, list markers stand before their items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin

from index.document import Parsed, one_line
from index.formats.front_matter import SHOWN, split_front_matter
from index.formats.headings import GENERIC, is_title, nest
from index.formats.html_text import html_texts
from index.formats.inline import InlineLine, clean_text, inline_lines, join_lines
from index.formats.labels import read_turns, split_label
from index.formats.lines import ends_sentence
from index.formats.outline import MAX_MASTHEAD_CHARS, is_credit
from index.formats.parts import PartList
from index.formats.text import parse_text

MAX_NESTING = 100
"""Deeper lists and quotations than these markdown-it does not read: it would drop what stands in them."""

MAX_BRACKETS = 20
"""Brackets nested deeper than those of any link; looking for links among them takes long."""

MAX_BOLD_HEADING_CHARS = 60

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


def parse_markdown(source: str) -> Parsed:
    """The clean text and the parts of a Markdown file with `\\n` line ends.

    One that is nested too deep for Markdown is read as plain text.
    """
    fields, body = split_front_matter(source)
    tokens = _parser(body).parse(body)
    if max((token.level for token in tokens), default=0) >= MAX_NESTING - 2:
        return parse_text(source)
    pieces = list(_Reader().read(tokens))
    pieces = _settle_title(pieces, has_title="title" in fields)
    pieces = _settle_turns(_settle_metadata(_settle_bold(pieces)))
    shown = [
        Piece("metadata", f"{key.capitalize()}: {fields[key]}", gap="\n") for key in SHOWN if key in fields
    ]
    return _compose([*shown, *pieces], fields.get("title"))


def clean_inline(markdown: str) -> str:
    """The clean text of one inline fragment, as it stands in the text of the document."""
    (token,) = _parser(markdown).parseInline(markdown)
    return clean_text(token.children or [])


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
    """Makes pieces of tokens; keeps what is open around the current one."""

    def __init__(self) -> None:
        self._opener: Token | None = None  # the token before this one
        self._lists = 0  # open lists
        self._quotes = 0  # open quotations
        self._label = ""  # of the list item or footnote that has just begun
        self._cells: list[str] = []  # of the open table row
        self._row_kind: PieceKind = "table_row"
        self._gap = "\n\n"  # before the next piece

    def read(self, tokens: Sequence[Token]) -> Iterator[Piece]:
        for token in tokens:
            yield from self._read(token)
            self._opener = token

    def _read(self, token: Token) -> Iterator[Piece]:
        match token.type:
            case "bullet_list_open" | "ordered_list_open" | "bullet_list_close" | "ordered_list_close":
                self._lists += token.nesting
                self._gap = "\n" if self._lists else "\n\n"
            case "list_item_open":
                self._label = "  " * (self._lists - 1) + f"{token.info}{token.markup} "
            case "list_item_close" | "footnote_close":
                self._label = ""
            case "footnote_open":
                self._label = f"[{token.meta.get('label', token.meta['id'] + 1)}] "
            case "blockquote_open" | "blockquote_close":
                self._quotes += token.nesting
            case "table_open":
                self._row_kind = "table_header"
            case "tr_close":
                yield from self._table_row()
            case "table_close":
                self._gap = "\n" if self._lists else "\n\n"
            case "inline":
                yield from self._inline(token)
            case "fence" | "code_block":
                yield from self._piece("code", token.content.rstrip())
            case "html_block":
                yield from self._html(token.content)

    def _piece(self, kind: PieceKind, content: str, *, level: int = 0) -> Iterator[Piece]:
        """A piece, unless it is blank; it takes the label of the item that it opens."""
        if content.strip():
            piece = Piece(kind, content, self._label, level, self._gap)
            self._label = ""
            self._gap = "\n" if self._lists else "\n\n"
            yield piece

    def _inline(self, token: Token) -> Iterator[Piece]:
        lines = inline_lines(token.children or [])
        opener = self._opener.type if self._opener else ""
        if opener in ("th_open", "td_open"):
            self._cells.append(one_line(join_lines(lines)))
        elif opener == "heading_open" and self._opener:
            self._label = ""
            yield from self._piece("heading", one_line(join_lines(lines)), level=int(self._opener.tag[1]))
        else:
            yield from self._paragraph(lines)

    def _paragraph(self, lines: Sequence[InlineLine]) -> Iterator[Piece]:
        gap = self._gap
        for group in _group(lines):
            text = join_lines(group)
            labelled, at = split_label(text)
            if labelled:
                self._label, text = text[:at], text[at:]
            self._gap = gap
            yield from self._piece(labelled or self._kind(text, all(line.strong for line in group)), text)
            gap = "\n"

    def _kind(self, text: str, strong: bool) -> PieceKind:
        if strong and text.endswith("?"):
            return "question"
        if self._lists:
            return "list_item"
        return "bold" if strong else "quotation" if self._quotes else "paragraph"

    def _table_row(self) -> Iterator[Piece]:
        """Cells joined by bars; the rows after the first of a table follow it closely."""
        self._label = ""
        for piece in self._piece(self._row_kind, " | ".join(self._cells) if any(self._cells) else ""):
            yield piece
            self._gap = "\n"
        self._cells = []
        self._row_kind = "table_row"

    def _html(self, html: str) -> Iterator[Piece]:
        for run in html_texts(html):
            if run.level:
                self._label = ""
                yield from self._piece("heading", run.text, level=run.level)
            else:
                yield from self._piece("list_item" if self._lists else "paragraph", run.text)


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


def _settle_title(pieces: Sequence[Piece], *, has_title: bool) -> list[Piece]:
    """Make the first heading the title, where it is one.

    It is when no other stands as far out, or when it is the first thing and another follows at once; a
    heading below the first level only when nothing stands before it.
    """
    places = [place for place, piece in enumerate(pieces) if piece.kind == "heading"]
    if not places:
        return list(pieces)
    first = places[0]
    alone = is_title([pieces[place].level for place in places]) and (pieces[first].level == 1 or first == 0)
    on_top = places[:2] == [0, 1] and pieces[0].level == 1
    if not (alone or on_top) or (pieces[first].content.casefold() in GENERIC and not has_title):
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


def _compose(pieces: Sequence[Piece], title: str | None) -> Parsed:
    """Place the pieces one after another."""
    pieces = [replace(piece, gap=piece.gap if place else "") for place, piece in enumerate(pieces)]
    text = "".join(piece.gap + piece.label + piece.content for piece in pieces)
    levels = nest([(piece.level, False) for piece in pieces if piece.kind == "heading"])
    parts = PartList(text)
    at = 0
    for piece in pieces:
        label = at + len(piece.gap) + len(piece.label) - len(piece.label.lstrip())
        start = at + len(piece.gap) + len(piece.label)
        at = start + len(piece.content)
        level = next(levels) if piece.kind == "heading" else 0
        _add(parts, piece.kind, start, at, label if label < start else None, level)
    return Parsed(text, tuple(parts.parts), title)


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
        case "table_row":
            parts.table_row(start, end)
        case _:
            parts.metadata(start, end)
