"""An answer as the text of a chat message, and back: quotes with markers, then where each of them stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from index import Document, Library
from index.errors import DocumentNotFoundError
from rag.answer import Answer, Quote, Status
from rag.record import MAX_QUOTES
from ui.render import STATUS_LINES, QuoteView, plain, turn_view

LEADS = "Closest passages (not an answer):"
SOURCES = "Sources:"

MAX_QUOTE_CHARS = 20_000
"""Longer than any quote of an answer that somebody would read in a chat."""

_ABSTAINED: tuple[Status, ...] = ("unsure", "not_found")
_SOURCE = re.compile(r"^(\d{1,3})\. .*\(([0-9a-f]{16}):(\d{1,12})-(\d{1,12})\)$", re.MULTILINE)


def paragraphs(
    answer: Answer, documents: Mapping[str, Document], shown: Callable[[str], str] = plain
) -> Iterator[str]:
    """The answer in Markdown paragraphs, the last one the list of sources: title, section and offsets.

    `documents` holds every cited one by id. `shown` makes a piece of a document show as just this text: where
    nothing renders Markdown, `str` leaves it letter for letter.
    """
    view = turn_view(answer, documents)
    if view["resolved"]:
        yield f"Understood as: {shown(view['resolved'])}"
    if view["line"]:
        yield view["line"]
    if answer.status == "not_found" and answer.leads:
        yield LEADS
    quotes = (*answer.quotes, *answer.leads)
    views = (*view["quotes"], *view["leads"])
    for each in views:
        yield _quotation(each, shown)
    if answer.status in ("answered", "unsure"):
        yield f"{view['confidence_words']} ({answer.confidence:.0%})"
    if quotes:
        sources = (_source(each, quote, shown) for each, quote in zip(views, quotes, strict=True))
        yield "\n".join((f"{SOURCES}\n", *sources))


def quotation(text: str) -> str:
    """Every line begins with the mark of a quotation, so that no document writes outside of it."""
    return f"> {text}".replace("\n", "\n> ")


def reference(title: str, section: str, document_id: str, start: int, end: int) -> str:
    """A citation: where a piece of a document stands, for people and for programs."""
    where = ": ".join(dict.fromkeys((title, section)))
    return f"{where} ({document_id}:{start}-{end})"


def _quotation(view: QuoteView, shown: Callable[[str], str]) -> str:
    context = f"({shown(view['context']['text'])})\n" if view["context"] else ""
    return quotation(context + _marked(view["n"], view["before"] + view["focus"] + view["after"], shown))


def _marked(number: int, text: str, shown: Callable[[str], str]) -> str:
    return f"{shown(text)} [{number}]"


def _source(view: QuoteView, quote: Quote, shown: Callable[[str], str]) -> str:
    title, section = shown(view["title"]), shown(view["section"])
    return f"{view['n']}. {reference(title, section, quote.document_id, quote.start, quote.end)}"


def restored(question: str, text: str, library: Library) -> Answer | None:
    """The answer whose `paragraphs` this is, as far as a follow-up leans on it; None when it quotes nothing.

    A quote counts when its document still says at its place what the text says. Neither the scores nor the
    confidence are in the text: they are 0.
    """
    sources = islice(_SOURCE.finditer(text), MAX_QUOTES)
    found = tuple(quote for source in sources if (quote := _quote_of(source, text, library)))
    if not found:
        return None
    lines = text.splitlines()
    status: Status = next((each for each in _ABSTAINED if STATUS_LINES[each] in lines), "answered")
    if status == "answered":
        return Answer(question, question, status, 0.0, quotes=found)
    return Answer(question, question, status, 0.0, leads=found)


def _quote_of(source: re.Match[str], text: str, library: Library) -> Quote | None:
    number, document_id, start, end = source[1], source[2], int(source[3]), int(source[4])
    try:
        document = library.document(document_id)
    except DocumentNotFoundError:
        return None
    said = document.text[start : min(end, start + MAX_QUOTE_CHARS)]
    if not said or len(said) < end - start or quotation(_marked(int(number), said, plain)) not in text:
        return None
    section = document.section_of(max(document.sentence_index(start), 0))
    return Quote(document_id, start, end, said, section.path, None, 0.0)
