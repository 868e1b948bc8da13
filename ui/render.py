"""Documents and answers as the browser paints them. Pure: no I/O, no framework.

A document becomes escaped HTML in which every sentence is one `<span class="s" id="s-31">`; an answer
becomes plain values (`TurnView`) that the page puts on screen as text, never as markup. Both name sentences
by number: offsets count code points in Python and UTF-16 units in JavaScript, so the page never sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import TypedDict

from index.document import Block, BlockKind, Document, Section, one_line
from rag.answer import Answer, Quote, Status

SECTION_SEPARATOR = " › "
HEADING_OFFSET = 2  # the page's own heading is h1, the document's title h2
DEEPEST_HEADING = 6
DEEPEST_LIST = 8
TABLE_KINDS: frozenset[BlockKind] = frozenset({"table_header", "table_row"})
CELL_BAR = " | "
MAX_EXAMPLES = 4
MAX_EXAMPLE_CHARS = 90

CONFIDENCE_WORDS: tuple[tuple[float, str], ...] = (
    (0.85, "High confidence"),
    (0.65, "Good confidence"),
    (0.40, "Fair confidence"),
    (0.20, "Low confidence"),
    (0.00, "Very low confidence"),
)
"""From this probability on, this is what it is called; highest first."""

STATUS_LINES: dict[Status, str] = {
    "answered": "",
    "unsure": "Not sure: this may answer it.",
    "not_found": "The document does not say.",
    "empty": "There is no document to search yet. Add one to begin.",
}
"""What stands above the quotes or leads of an answer."""

SMALL_TALK_LINE = "Happy to help. Ask anything about the document."


_TAGS: dict[BlockKind, str] = {
    "paragraph": "p",
    "list_item": "li",
    "question": "p",
    "answer": "p",
    "quotation": "p",
    "code": "pre",
    "table_header": "div",
    "table_row": "div",
    "cue": "p",
    "metadata": "p",
    "boilerplate": "p",
}

_GROUPS: dict[BlockKind, tuple[str, str]] = {
    "list_item": ("ul", "list"),
    "question": ("div", "qa"),
    "answer": ("div", "qa"),
    "quotation": ("blockquote", "quotations"),
    "table_header": ("div", "table"),
    "table_row": ("div", "table"),
}
"""Consecutive blocks of one group stand in one element of this tag and class."""

_BULLETS = frozenset("-*+•◦▪‣·–—")


_WORD = re.compile(r"\w+")
_MARKDOWN = re.compile(r"[\\`*_\[\]<>#|~&!]|^[-+=]")
_LIST_NUMBER = re.compile(r"^(\d+)([.)])")


class OutlineEntry(TypedDict):
    """One line of the list of sections."""

    target: str  # id of the section's element
    heading: str
    level: int  # 0 for the introduction, else 1 = outermost


class DocumentView(TypedDict):
    """What the reader shows: `html` is safe to insert, everything else is text."""

    id: str
    title: str
    html: str
    outline: list[OutlineEntry]
    examples: list[str]


class ContextView(TypedDict):
    """What a quote leans on: the sentence before it, the source's question, a table's header."""

    kind: BlockKind
    text: str


class QuoteView(TypedDict):
    """One quote or lead; `before + focus + after` is the quote's text."""

    n: int
    document: str
    title: str
    section: str
    before: str
    focus: str
    after: str
    context: ContextView | None
    sentences: list[str]  # ids of the elements to highlight


class TurnView(TypedDict):
    """One question with its answer."""

    question: str
    resolved: str  # what was searched, where that differs from the question; else empty
    small_talk: bool  # nothing was asked, nothing was searched
    status: Status
    line: str
    confidence: float  # 0 to 1
    confidence_words: str
    quotes: list[QuoteView]
    leads: list[QuoteView]


def document_view(document: Document) -> DocumentView:
    return {
        "id": document.id,
        "title": one_line(document.title),
        "html": document_html(document),
        "outline": outline(document),
        "examples": list(example_questions(document)),
    }


def document_html(document: Document) -> str:
    """The whole document as escaped HTML, one `<section id="sec-…">` per section."""
    blocks = groupby(range(len(document.blocks)), key=lambda number: document.blocks[number].section)
    by_section = {section: list(numbers) for section, numbers in blocks}
    sections = (
        f'<section id="{section_id(number)}">'
        f"{_heading_html(section)}{_blocks_html(document, by_section.get(number, []))}</section>"
        for number, section in enumerate(document.sections)
    )
    return f'<h2 class="title" dir="auto">{escape(one_line(document.title))}</h2>' + "".join(sections)


def outline(document: Document) -> list[OutlineEntry]:
    return [
        {"target": section_id(number), "heading": section.heading, "level": section.level}
        for number, section in enumerate(document.sections)
    ]


def section_id(number: int) -> str:
    return f"sec-{number}"


def sentence_id(number: int) -> str:
    return f"s-{number}"


def example_questions(document: Document, limit: int = MAX_EXAMPLES) -> tuple[str, ...]:
    """Questions that the document answers: its own, or else about its sections; spread over its length."""
    own = [one_line(_text(document, block)) for block in document.blocks if block.kind == "question"]
    headings = [
        f"What does it say about “{section.heading}”?" for section in document.sections if section.level
    ]
    candidates = own or headings
    short = [question for question in dict.fromkeys(candidates) if len(question) <= MAX_EXAMPLE_CHARS]
    return tuple(_spread(short, limit))


def _spread(items: Sequence[str], limit: int) -> Iterator[str]:
    """At most `limit` of the items at even distances."""
    count = min(limit, len(items))
    return (items[position * len(items) // count] for position in range(count))


def _heading_html(section: Section) -> str:
    if section.heading_start == section.heading_end:  # text before the first heading has none
        return ""
    tag = f"h{min(section.level + HEADING_OFFSET, DEEPEST_HEADING)}"
    return f'<{tag} dir="auto">{escape(section.heading)}</{tag}>'


def _blocks_html(document: Document, numbers: Iterable[int]) -> str:
    blocks = (document.blocks[number] for number in numbers)
    return "".join(_group_html(document, group, members) for group, members in groupby(blocks, key=_group_of))


def _group_of(block: Block) -> tuple[str, str] | None:
    return _GROUPS.get(block.kind)


def _group_html(document: Document, group: tuple[str, str] | None, blocks: Iterable[Block]) -> str:
    html = "".join(_block_html(document, block) for block in blocks)
    return f'<{group[0]} class="{group[1]}">{html}</{group[0]}>' if group else html


def _block_html(document: Document, block: Block) -> str:
    tag = _TAGS[block.kind]
    depth = f' style="--depth: {_depth(document, block)}"' if block.kind == "list_item" else ""
    inside = _label_html(document, block) + _sentences_html(document, block)
    return f'<{tag} class="{block.kind}" dir="auto"{depth}>{inside}</{tag}>'


def _depth(document: Document, block: Block) -> int:
    """How deep a list item is nested, by the white space before it."""
    line_start = document.text.rfind("\n", 0, block.label_start) + 1
    before = document.text[line_start : block.label_start].expandtabs(4)
    return min(len(before) // 2, DEEPEST_LIST) if before.isspace() else 0


def _label_html(document: Document, block: Block) -> str:
    """What stands before the block ("Q1:", "3.", a bullet), outside every sentence."""
    label = document.text[block.label_start : block.start].strip()
    shown = "•" if label in _BULLETS else label
    return f'<span class="label">{escape(shown)}</span> ' if shown else ""


def _sentences_html(document: Document, block: Block) -> str:
    """The block's text, each sentence in its span; the white space between sentences stays outside."""
    html, at = [], block.start
    for number in document.sentences_between(block.start, block.end):
        sentence = document.sentences[number]
        html.append(escape(document.text[at : sentence.start]))
        text = _text_html(document.text[sentence.start : sentence.end], block.kind)
        html.append(f'<span class="s" id="{sentence_id(number)}">{text}</span>')
        at = sentence.end
    return "".join(html) + escape(document.text[at : block.end])


def _text_html(text: str, kind: BlockKind) -> str:
    """The escaped text; a table's row with each cell, and each bar between them, in an element."""
    if kind not in TABLE_KINDS:
        return escape(text)
    cells = (f'<span class="cell">{escape(cell)}</span>' for cell in text.split(CELL_BAR))
    return f'<span class="bar">{CELL_BAR}</span>'.join(cells)


def turn_view(answer: Answer, documents: Mapping[str, Document]) -> TurnView:
    """An answer with its question for the conversation; `documents` holds every document it quotes, by id."""
    resolved = one_line(answer.resolved_question)
    return {
        "question": answer.question,
        "resolved": "" if resolved == one_line(answer.question) else resolved,
        "small_talk": answer.resolution == "chitchat",
        "status": answer.status,
        "line": SMALL_TALK_LINE if answer.resolution == "chitchat" else STATUS_LINES[answer.status],
        "confidence": answer.confidence,
        "confidence_words": confidence_words(answer.confidence),
        "quotes": _quote_views(answer.quotes, answer.question, documents),
        "leads": _quote_views(answer.leads, answer.question, documents),
    }


def confidence_words(confidence: float) -> str:
    """What a probability from 0 to 1 is called."""
    return next(words for lowest, words in CONFIDENCE_WORDS if confidence >= lowest)


def _quote_views(
    quotes: Sequence[Quote], question: str, documents: Mapping[str, Document]
) -> list[QuoteView]:
    """Quotes or leads, numbered from 1; a context that stands on screen already is left out."""
    views: list[QuoteView] = []
    on_screen = [question]
    for n, quote in enumerate(quotes, start=1):
        document = documents[quote.document_id]
        context = None if quote.context is None else _context_view(document, quote.context)
        if context and _stands_in(context["text"], on_screen):
            context = None
        on_screen += [quote.text, context["text"] if context else ""]
        views.append(_quote_view(n, quote, context, document))
    return views


def _stands_in(text: str, shown: Iterable[str]) -> bool:
    """Whether one of the texts says this too, word for word."""
    return any(f" {_words(text)} " in f" {_words(other)} " for other in shown)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


def _quote_view(n: int, quote: Quote, context: ContextView | None, document: Document) -> QuoteView:
    start, end = quote.focus or (quote.end, quote.end)
    return {
        "n": n,
        "document": document.id,
        "title": one_line(document.title),
        "section": ", ".join(filter(None, [SECTION_SEPARATOR.join(quote.section), quote.place])),
        "before": document.text[quote.start : start],
        "focus": document.text[start:end],
        "after": document.text[end : quote.end],
        "context": context,
        "sentences": [sentence_id(number) for number in document.sentences_between(quote.start, quote.end)],
    }


def _context_view(document: Document, context: tuple[int, int]) -> ContextView:
    start, end = context
    kind = document.block_of(max(document.sentence_index(start), 0)).kind
    return {"kind": kind, "text": one_line(document.text[start:end])}


def markdown(answers: Iterable[Answer], documents: Mapping[str, Document]) -> str:
    """The conversation as Markdown, each quote with a footnote that cites its document and section."""
    paragraphs = ["# Questions and answers in the documents’ own words"]
    notes: list[str] = []
    for view in (turn_view(answer, documents) for answer in answers):
        understood = f"Understood as: {plain(view['resolved'])}" if view["resolved"] else ""
        paragraphs += [f"## {plain(view['question'])}", understood, view["line"]]
        for quote in (*view["quotes"], *view["leads"]):
            text = plain(quote["before"] + quote["focus"] + quote["after"])
            paragraphs.append(f"> {text}[^{len(notes) + 1}]")
            notes.append(f"[^{len(notes) + 1}]: {plain(quote['title'])}: {plain(quote['section'])}")
    return "\n\n".join(filter(None, [*paragraphs, *notes])) + "\n"


def plain(text: str) -> str:
    """Text as Markdown that shows as just this text, on one line."""
    return _LIST_NUMBER.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\g<0>", one_line(text)))


def _text(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]
