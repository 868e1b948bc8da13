"""What people say, with its times → paragraphs by speaker: shared by subtitles and transcripts.

The times are no part of the text, where they would stand in the middle of sentences: they are its places.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import Literal, NamedTuple

from index.document import Parsed, Place
from index.formats.lines import ends_sentence
from index.formats.parts import PartList, Stretch, lay_out
from index.sentences import sentence_spans

PARAGRAPH_CHARS = 500
"""A paragraph takes no further sentence that would make it longer."""

UNPUNCTUATED_CHARS = 400
"""A longer run without the end of a sentence is speech as a machine hears it: without full stops."""

RUN_CHARS = 200
"""Such speech is divided where someone pauses, and at the first cue after so many characters."""

DASH = "- "
"""Stands before a line of dialogue: it says that someone else speaks, but not until when."""

Span = tuple[int, int]
CueKind = Literal["speech", "aside", "heading"]
PieceKind = Literal["turn", "paragraph", "question", "aside", "heading"]

_SOUND = re.compile(r"(?:\[[^\[\]]{0,40}\]|\([^()]{0,40}\)|\W+)[.\s]*")
_QUESTION = re.compile(r"""[?？؟]["'”’»)\]]*\Z""")


class Cue(NamedTuple):
    """What is said from one time on, on one line; or an aside ("[Applause]"), or a heading."""

    text: str
    seconds: int | None = None  # None where the time of the one before goes on
    speaker: str = ""  # as it stands before the words: "ANNA: ", "- "; "" where the one before goes on
    apart: bool = False  # a pause, or a blank line, divides it from the one before
    kind: CueKind = "speech"


class _Piece(NamedTuple):
    """A part of the text before its place is known."""

    kind: PieceKind
    content: str
    times: list[tuple[int, int]]  # (offset into the content, seconds)
    label: str = ""


def compose_speech(cues: Sequence[Cue], title: str | None = None) -> Parsed:
    """The text, parts and places of what is said.

    Cues are joined into sentences and paragraphs, and speakers are labels. Where a turn ends with a question
    and another speaker goes on, that question's answer is the turn that follows.
    """
    pieces = list(_pieces(cues))
    text, spans = lay_out([Stretch("\n\n", piece.label, piece.content) for piece in pieces])
    parts = PartList(text)
    for before, piece, span in zip([None, *pieces], pieces, spans, strict=False):
        _add(parts, before, piece, *span)
    return Parsed(text, tuple(parts.parts), title, tuple(_places(pieces, spans)))


def is_sound(text: str) -> bool:
    """Is this what is heard but not said: "[Applause]", "(laughs)", "♪"?"""
    return _SOUND.fullmatch(text) is not None


def time_label(seconds: int) -> str:
    """A time as a citation names it: "0:05", "12:31", "1:02:31"."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _add(parts: PartList, before: _Piece | None, piece: _Piece, start: int, end: int) -> None:
    label = start - len(piece.label) if piece.label else None
    match piece.kind:
        case "heading":
            parts.heading(start, end, 1)
        case "aside":
            parts.metadata(start, end)
        case "question":
            parts.question(start, end, label)
        case _:
            if piece.kind == "turn" and before and before.kind != "question":
                parts.end_answer()
            parts.paragraph(start, end, label)


def _places(pieces: Sequence[_Piece], spans: Sequence[Span]) -> Iterator[Place]:
    last = ""
    for piece, (start, _) in zip(pieces, spans, strict=True):
        for at, seconds in piece.times:
            if (label := time_label(seconds)) != last:
                yield Place(start + at, label)
            last = label


def _pieces(cues: Sequence[Cue]) -> Iterator[_Piece]:
    turns = _turns(cues)
    speaker = ""
    for turn, following in zip_longest(turns, turns[1:]):
        if turn[0].kind == "speech":
            speaker = turn[0].speaker or speaker
            yield from _spoken(turn, is_answered=following is not None and _is_another(following[0], speaker))
        else:
            yield _Piece(turn[0].kind, turn[0].text, _times(turn, [0]))


def _turns(cues: Sequence[Cue]) -> list[list[Cue]]:
    """Cues of one speaker; asides and headings stand by themselves."""
    turns: list[list[Cue]] = []
    for cue in cues:
        if turns and _goes_on(turns[-1], cue):
            turns[-1].append(cue)
        else:
            turns.append([cue])
    return turns


def _goes_on(turn: Sequence[Cue], cue: Cue) -> bool:
    """Does a cue belong to a turn? A speaker who pauses begins a new one, but not in mid-sentence."""
    if turn[0].kind != "speech" or cue.kind != "speech":
        return False
    begins = cue.apart and ends_sentence(turn[-1].text, 0, len(turn[-1].text))
    return not cue.speaker or not (begins or _is_another(cue, turn[0].speaker))


def _is_another(cue: Cue, speaker: str) -> bool:
    """Does another speaker begin? A dash says so without a name."""
    is_named = any(map(str.isalnum, cue.speaker))
    return cue.speaker != speaker if is_named else cue.speaker != ""


def _times(turn: Sequence[Cue], starts: Sequence[int]) -> list[tuple[int, int]]:
    return [(start, cue.seconds) for start, cue in zip(starts, turn, strict=True) if cue.seconds is not None]


def _spoken(turn: Sequence[Cue], *, is_answered: bool) -> Iterator[_Piece]:
    """A turn as paragraphs; the questions at its end are one of their own if they are answered."""
    text = " ".join(cue.text for cue in turn)
    starts = [0, *accumulate(len(cue.text) + 1 for cue in turn[:-1])]
    pauses = {start for start, cue in zip(starts, turn, strict=True) if cue.apart}
    paragraphs = _paragraphs(text, starts, pauses)
    asked = _question_start(text, *paragraphs[-1]) if is_answered else len(text)
    times = _times(turn, starts)
    for start, end in _cut(text, paragraphs, asked):
        inside = times[bisect_left(times, (start, 0)) : bisect_left(times, (end, 0))]
        label = "" if start else turn[0].speaker
        is_new = label or turn[0].speaker == DASH
        kind: PieceKind = "question" if start >= asked else "turn" if is_new else "paragraph"
        yield _Piece(kind, text[start:end], [(at - start, seconds) for at, seconds in inside], label)


def _question_start(text: str, start: int, end: int) -> int:
    """Where the questions begin that a paragraph ends with; its end when it ends with none."""
    asked = end
    for first, last in reversed(sentence_spans(text, start, end)):
        if not _QUESTION.search(text, first, last):
            break
        asked = first
    return asked


def _cut(text: str, paragraphs: Sequence[Span], at: int) -> Iterator[Span]:
    """The paragraphs, the last of them divided at an offset inside it."""
    *others, (start, end) = paragraphs
    yield from others
    if start < at < end:
        yield start, start + len(text[start:at].rstrip())
        start = at
    yield start, end


def _paragraphs(text: str, starts: Sequence[int], pauses: set[int]) -> list[Span]:
    """Sentences gathered up to a pause or the length of a paragraph."""
    paragraphs: list[Span] = []
    for start, end in _sentences(text, starts, pauses):
        first, last = paragraphs[-1] if paragraphs else (start, start)
        fits = start not in pauses and end - first <= PARAGRAPH_CHARS
        if fits and ends_sentence(text, first, last):
            paragraphs[-1] = (first, end)
        else:
            paragraphs.append((start, end))
    return paragraphs


def _sentences(text: str, starts: Sequence[int], pauses: set[int]) -> Iterator[Span]:
    """Sentences, and the stretches of speech without full stops."""
    first: int | None = None
    for start, end in sentence_spans(text, 0, len(text)):
        first = start if first is None else first
        if ends_sentence(text, start, end) or end == len(text):
            yield from _stretches(text, first, end, starts, pauses)
            first = None


def _stretches(text: str, start: int, end: int, starts: Sequence[int], pauses: set[int]) -> Iterator[Span]:
    """A sentence, or what stands between two pauses of speech without full stops."""
    if end - start > UNPUNCTUATED_CHARS:
        for at in starts[bisect_left(starts, start + 1) : bisect_left(starts, end)]:
            if at in pauses or at - start >= RUN_CHARS:
                yield start, start + len(text[start:at].rstrip())
                start = at
    yield start, end
