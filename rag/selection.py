"""Spans → quotes: whole sentences, what they lean on, no repetition; and answer or abstain."""

from __future__ import annotations

from index.analysis import topic_terms, words
from index.document import Document
from rag.answer import Quote, Status
from rag.discourse import leans
from rag.reader import OperatingPoint, Reading, Span

MAX_QUOTES = 3
QUOTE_SHARE = 0.1
"""A further quote needs at least this share of the best one's score, unless it goes on with the answer that
the source gives to a question of its own: such an answer is one unit."""

REPEATED_SHARE = 0.7
"""A sentence of which so much stands in a chosen one already says the same …"""

NEGATIONS = frozenset(
    "no not nor never none neither without cannot cant dont doesnt didnt isnt wasnt wont".split()
)
"""… unless one denies it, or they differ in a number."""


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
        adds = status != "answered" or span.score >= QUOTE_SHARE * best.score or _same_answer(span, best)
        if adds and not any(_says_the_same(span, other) for other in chosen):
            chosen.append(span)
    return status, tuple(_quote(span) for span in chosen)


def _same_answer(span: Span, best: Span) -> bool:
    return _answer_of(best) is not None and _answer_of(span) == _answer_of(best)


def _answer_of(span: Span) -> tuple[str, int] | None:
    """The answer block of a question-and-answer pair that the span stands in."""
    document = span.hit.document
    sentence = document.sentences[document.sentence_index(span.start)]
    kind = document.blocks[sentence.block].kind
    return (document.id, sentence.block) if kind == "answer" else None


def _says_the_same(span: Span, chosen: Span) -> bool:
    """Whether the span brings next to nothing that the chosen one does not say."""
    mine, theirs = _content(span), _content(chosen)
    if any(term in NEGATIONS or term[0].isdigit() for term in mine ^ theirs):
        return False
    return bool(mine) and len(mine & theirs) >= REPEATED_SHARE * len(mine)


def _content(span: Span) -> set[str]:
    text = span.hit.document.text[span.start : span.end]
    return set(topic_terms(text)) | NEGATIONS.intersection(words(text))


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
        place=document.place_of(span.start),
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
