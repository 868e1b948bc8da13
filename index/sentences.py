"""Sentence boundaries, by the library `sentencex` (Wikimedia), with the few repairs it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sentencex import get_sentence_boundaries

MAX_SENTENCE_CHARS = 1_500
"""A longer run without a boundary (a log file, a minified page) is divided between words."""

WINDOW_CHARS = 8_000
"""As much as sentencex sees at once: the time that it takes can grow with the square of that."""

# Languages whose abbreviations sentencex knows, by their letters; each stands for all that are written in
# them. A text in other letters is read as English.
_ALPHABETS = {
    "ru": re.compile("[\u0400-\u04ff]"),
    "el": re.compile("[\u0370-\u03ff\u1f00-\u1fff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
}
_LETTER_SHARE = 0.3  # of the characters of a text, spaces included

# A boundary that sentencex may miss: the end of a sentence, and after white space a capital …
_GAP = re.compile(r"""[.…)][”’"')\]]*(\s+)(?=[“‘"'(\[]?[^\W\d_a-z])""")
# … if it stands after an ellipsis ("He agreed… And so on."), a word that it takes for an abbreviation
# ("9 May.", "No. It is.", "photo ID.", "3,110 m.") or a bracketed sentence ("(It rained.) Then").
_MISSED = re.compile(
    r"""(?: (?:…|\.\.\.)
          | \b (?: \d{1,2} | [Ii]n | [Bb]y | [Ss]ince | [Uu]ntil | [Ll]ast | [Tt]his | [Nn]ext ) [ ] May \.
          | \b (?: no | may | me | art | ill | miss | fed | ore | arc ) \.
          | (?: ^ | [.!?…:] [”’"')\]]* \s | [“‘"'(] ) No \.
          | \b (?! (?: DR | MRS? | MS | ST | MT | NO | VS | PP | JR | SR | [IVXLC]+ ) \b ) [A-Z]{2,5} \.
          | \d [ ]? (?: [kcm]?m | [km]?g | m?l | [kM]?W | min | ft | lb | mph | [sh] ) \.
          | \d [ ]? [a-zA-Z]{1,5} / [sh] \.
        ) [”’"')\]]* \Z""",
    re.VERBOSE,
)
_BRACKETED = re.compile(r"""\([^\W\d_a-z][^()]*[.!?]\)[”’"']*\Z""")
MAX_MISSED_CHARS = 24
MAX_BRACKETED_CHARS = 300
"""As far as these look back."""

_CLOSING = re.compile(r"[)\]}”’»]+(?=\s)")
# A sentence that begins with "(a)" is not separated from the next one: sentencex sees a word instead.
_ENUMERATOR = re.compile(r"\(([^\W_]{1,4})\)")
# White space of more than one byte before a full stop ("A\xa0.") makes sentencex panic.
_WIDE_SPACE = re.compile(r"[^\S\x00-\x7f]")
# Abbreviations that sentencex doesn't know at the start of a sentence ("Ms. Wirth").
_UNFINISHED = re.compile(r"\b(?:Ms|Mx|Vol|Eq|approx|[Уу]л|[Ии]м|[Пп]р)\.\s*$")
# A sentence in Cyrillic letters begins with a capital ("5 руб. и 3 коп.").
_SMALL_CYRILLIC = re.compile(r"[\u0430-\u045f]")
_EXCLAMATION = re.compile(r"[?!][”’\"')\]]*\s*$")
_WORD = re.compile(r"\w")
_LETTER = re.compile(r"[^\W\d_]")
_VISIBLE = re.compile(r"\S")
_LAST_GAP = re.compile(r"\s+(?=\S*$)")


def sentence_spans(text: str, start: int, end: int, *, by_line: bool = False) -> list[tuple[int, int]]:
    """The sentences of `text[start:end]` as half-open offsets into `text`.

    Spans are disjoint and ordered, have no white space at their ends, and together hold every other
    character of the range. With `by_line` (code) every line is one.
    """
    body = text[start:end]
    pieces = _lines(body) if by_line else _join_parts(body, _sentences(body))
    spans = (_strip(body, first, last) for first, last in pieces)
    return [
        (start + first, start + last)
        for span in spans
        for first, last in _shorten(body, *span)
        if first < last
    ]


def _lines(body: str) -> Iterator[tuple[int, int]]:
    at = 0
    for line in body.splitlines(keepends=True):
        yield at, at + len(line)
        at += len(line)


def _sentences(body: str) -> Iterator[tuple[int, int]]:
    """Contiguous pieces that cover `body`, found window by window.

    The last piece of a window may be cut off, so the next window begins with it.
    """
    at = 0
    while at < len(body):
        window = body[at : at + WINDOW_CHARS]
        cuts = _cuts(window)
        if at + len(window) < len(body) and len(cuts) > 1:
            cuts.pop()
        for first, last in zip([0, *cuts], cuts, strict=False):
            yield at + first, at + last
        at += cuts[-1]


def _cuts(window: str) -> list[int]:
    """Where the sentences of `window` end, with the space after them; the last one is its length."""
    masked = _WIDE_SPACE.sub(" ", _ENUMERATOR.sub(r"X\1x", window))
    cuts = {boundary["end_index"] for boundary in get_sentence_boundaries(_language(window), masked)}
    gaps = (gap.span(1) for gap in _GAP.finditer(window))
    cuts.update([end for start, end in gaps if end not in cuts and _is_missed(window, start)])
    cuts = {_after_closing(window, cut) for cut in cuts} | {len(window)}
    return sorted(cut for cut in cuts if 0 < cut <= len(window))


def _language(window: str) -> str:
    if not window.isascii():
        for language, letter in _ALPHABETS.items():
            if len(letter.findall(window)) > _LETTER_SHARE * len(window):
                return language
    return "en"


def _is_missed(window: str, end: int) -> bool:
    if _MISSED.search(window[max(0, end - MAX_MISSED_CHARS) : end]):
        return True
    return ")" in window[end - 2 : end] and bool(
        _BRACKETED.search(window[max(0, end - MAX_BRACKETED_CHARS) : end])
    )


def _after_closing(window: str, cut: int) -> int:
    closing = _CLOSING.match(window, cut)
    return closing.end() if closing else cut


def _join_parts(body: str, pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """A piece that is none by itself belongs to the one before it."""
    joined: list[tuple[int, int]] = []
    for first, last in pieces:
        if joined and _goes_on(body, *joined[-1], first, last):
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def _goes_on(body: str, first: int, last: int, following: int, end: int) -> bool:
    """Does the sentence `body[first:last]` go on with `body[following:end]`?

    It does when that has no letter or digit (a lone bracket, a dash), when it ended with an abbreviation, and
    when that is in lower case in Cyrillic letters, or after a question or exclamation ("She asked – why me? –
    and left.").
    """
    tail = max(first, last - 20)
    if not _WORD.search(body, following, end) or _UNFINISHED.search(body, tail, last):
        return True
    if _SMALL_CYRILLIC.match(body, following) and not _SMALL_CYRILLIC.match(body, first):
        return True
    if not _EXCLAMATION.search(body, tail, last):
        return False
    opening, next_opening = _LETTER.search(body, first, last), _LETTER.search(body, following, end)
    return bool(opening and next_opening and opening[0].isupper() and next_opening[0].islower())


def _strip(body: str, first: int, last: int) -> tuple[int, int]:
    piece = body[first:last]
    return first + len(piece) - len(piece.lstrip()), first + len(piece.rstrip())


def _shorten(body: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    while last - first > MAX_SENTENCE_CHARS:
        limit = first + MAX_SENTENCE_CHARS
        gap = _LAST_GAP.search(body, first, limit)
        cut = gap.start() if gap and gap.start() > first else limit
        yield first, cut
        word = _VISIBLE.search(body, cut, last)
        first = word.start() if word else last
    yield first, last
