"""Sentence boundaries, by the library `sentencex` (Wikimedia), with the few repairs it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sentencex import get_sentence_boundaries

MAX_SENTENCE_CHARS = 1_500
"""A longer run without a boundary (a log file, a minified page) is divided between words."""

# Where sentencex sees no boundary and there is one: after an ellipsis or a bracketed sentence before a
# capital ("He agreed… And so on.", "(It rained.) Then"), and after the month it takes for an abbreviation.
_MISSED = re.compile(
    r"""(?:(?:…|\.\.\.)[”’"')\]]* | \([^\W\d_a-z][^()]*[.!?]\) | \b\d{1,2}[ ]May\. | \b[Ii]n[ ]May\.)
        (\s+) (?=[“‘"'(\[]?[^\W\d_a-z])""",
    re.VERBOSE,
)
_WORD = re.compile(r"\w")
_LAST_GAP = re.compile(r"\s+(?=\S*$)")


def sentence_spans(text: str, start: int, end: int, *, by_line: bool = False) -> list[tuple[int, int]]:
    """The sentences of `text[start:end]` as half-open offsets into `text`.

    Spans are disjoint and ordered, have no white space at their ends, and together hold every other
    character of the range. With `by_line` (code) every line is one.
    """
    body = text[start:end]
    pieces = _lines(body) if by_line else _join_wordless(body, _sentences(body))
    spans = (_strip(body, first, last) for first, last in pieces)
    return [
        (start + first, start + last) for span in spans for first, last in _shorten(body, *span) if first < last
    ]


def _lines(body: str) -> Iterator[tuple[int, int]]:
    at = 0
    for line in body.splitlines(keepends=True):
        yield at, at + len(line)
        at += len(line)


def _sentences(body: str) -> Iterator[tuple[int, int]]:
    """Contiguous pieces that cover `body`."""
    cuts = {boundary["end_index"] for boundary in get_sentence_boundaries("en", body)}
    cuts.update(match.end(1) for match in _MISSED.finditer(body))
    at = 0
    for cut in sorted(cuts | {len(body)}):
        if at < cut <= len(body):
            yield at, cut
            at = cut


def _join_wordless(body: str, pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """A piece without a letter or digit (a lone bracket, a dash) belongs to the one before it."""
    joined: list[tuple[int, int]] = []
    for first, last in pieces:
        if joined and not _WORD.search(body, first, last):
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def _strip(body: str, first: int, last: int) -> tuple[int, int]:
    piece = body[first:last]
    return first + len(piece) - len(piece.lstrip()), first + len(piece.rstrip())


def _shorten(body: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    while last - first > MAX_SENTENCE_CHARS:
        limit = first + MAX_SENTENCE_CHARS
        gap = _LAST_GAP.search(body, first, limit)
        cut = gap.start() if gap and gap.start() > first else limit
        yield first, cut
        first = cut + len(body[cut:last]) - len(body[cut:last].lstrip())
    yield first, last
