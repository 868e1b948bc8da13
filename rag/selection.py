"""Spans → quotes: whole sentences, what they lean on, no repetition; and answer or abstain."""

from __future__ import annotations

from index.analysis import topic_terms
from index.document import Document
from rag.answer import Quote, Status
from rag.discourse import leans
from rag.reader import OperatingPoint, Reading, Span

MAX_QUOTES = 3
QUOTE_SHARE = 0.1
"""A further quote needs at least this share of the best one's score …"""

PAIR_SHARE = 0.01
"""… or this one, when it goes on with the answer that the source gives to a question of its own."""

REPEATED_SHARE = 0.7
"""Two sentences that share this much of the shorter one's terms say the same."""


def select(reading: Reading, point: OperatingPoint) -> tuple[Status, tuple[Quote, ...]]:
    """The status, and the quotes (or, unless answered, the leads), best first, at most three."""
    if not reading.spans:
        return "not_found", ()
    status = point.status(reading.confidence)
    best = reading.spans[0]
    chosen = [best]
    for span in reading.spans[1:]:
        if len(chosen) == MAX_QUOTES:
            break
        adds = status != "answered" or span.score >= _least_share(span, best) * best.score
        if adds and not any(_says_the_same(span, other) for other in chosen):
            chosen.append(span)
    return status, tuple(_quote(span) for span in chosen)


def _least_share(span: Span, best: Span) -> float:
    return (
        PAIR_SHARE if _answer_of(span) is not None and _answer_of(span) == _answer_of(best) else QUOTE_SHARE
    )


def _answer_of(span: Span) -> tuple[str, int] | None:
    """The answer block of a question-and-answer pair that the span stands in."""
    document = span.hit.document
    sentence = document.sentences[document.sentence_index(span.start)]
    kind = document.blocks[sentence.block].kind
    return (document.id, sentence.block) if kind == "answer" else None


def _says_the_same(span: Span, other: Span) -> bool:
    mine, theirs = set(topic_terms(_text(span))), set(topic_terms(_text(other)))
    return len(mine & theirs) >= REPEATED_SHARE * min(len(mine), len(theirs))


def _text(span: Span) -> str:
    return span.hit.document.text[span.start : span.end]


def _quote(span: Span) -> Quote:
    document = span.hit.document
    number = document.sentence_index(span.start)
    return Quote(
        document_id=document.id,
        start=span.start,
        end=span.end,
        text=document.text[span.start : span.end],
        section=document.section_of(number).path,
        focus=span.focus,
        score=span.score,
        context=context_of(document, number),
    )


def context_of(document: Document, number: int) -> tuple[int, int] | None:
    """What sentence `number` leans on: the sentence before it in its block, when it begins with a word
    that points back; else the question it answers or the header of its table; None when it stands alone.
    """
    sentence = document.sentences[number]
    before = document.sentences[number - 1] if number else None
    if before is not None and before.block == sentence.block and leans(document.text, sentence.start):
        return before.start, before.end
    context = document.block_of(number).context
    if context is None:
        return None
    return document.blocks[context].start, document.blocks[context].end
