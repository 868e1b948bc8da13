"""Transcripts in plain text → what is said, with its times.

Their lines begin with a time or with a speaker and a time: "12:31 Ann: …", "[00:12:31] Ann: …", "Ann (12:31):
…", "[00:00.000 --> 00:04.500] …". Time and speaker may stand on lines of their own above the words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from index.document import one_line
from index.formats.labels import MIN_TURNS
from index.formats.lines import ends_sentence
from index.formats.speech import Cue, CueKind, is_sound

MIN_STAMPS = 3
"""Fewer lines with a time make no transcript."""

MIN_NAMELESS_STAMPS = 6
"""Nor do fewer times that may be those of a clock, when nobody is named."""

MAX_HEAD_SHARE = 0.5
"""No more of the text than this stands above the first time."""

SPEECH_RATE = (3.0, 40.0)
"""Characters in a second. People speak 10 to 20; an agenda's items and a list of chapters take longer."""

ROUND_SECONDS = 5
ROUND_SHARE = 0.8
"""Where so many times are multiples of five, a person has set them: a timetable."""

MIN_TURN_CHARS = 10
"""What speakers say is at least this long on average; "Train 12:31" says nothing."""

MAX_HEADING_CHARS = 80

_CLOCK = re.compile(r"\d:[0-5]\d")
_TIME = r"(?:(?P<hours>\d{1,2}):)?(?P<minutes>\d{1,3}):(?P<seconds>[0-5]\d)(?:[.,]\d{1,3})?"
_UNTIL = r"(?P<until>[ \t]*(?:--?>|[-–—])[ \t]*(?:\d{1,2}:)?\d{1,3}:[0-5]\d(?:[.,]\d{1,3})?)?"
_CAPITALISED = r"[^\W\d_a-z][\w.’'&-]{0,24}"
_NAME = rf"{_CAPITALISED}(?:[ ](?:{_CAPITALISED}|\d{{1,3}}|de|da|von|van|der|of)){{0,3}}"

_TIME_FIRST = re.compile(
    rf"(?P<bracket>[\[(<])?{_TIME}{_UNTIL}(?(bracket)[\])>]|(?!\w))[ \t]*(?:[-–—:|][ \t]*)?(?P<words>.*)"
)
_SPEAKER = re.compile(rf"(?:<([^<>\s]{{1,30}})>|({_NAME}):)(?:[ \t]+|\Z)")
_NAME_FIRST = re.compile(
    rf"(?P<name>{_NAME})[:,]?[ \t]+(?P<bracket>[\[(<])?{_TIME}{_UNTIL}"
    rf"(?(bracket)[\])>]:?|(?::|(?=[ \t]*\Z)))[ \t]*(?P<words>.*)"
)
_NAME_ALONE = re.compile(_NAME)
_MARK = re.compile(r"#{1,6}[ \t]+(?=\S)")


class _Stamped(NamedTuple):
    """A line with a time."""

    first: int  # the number of the line, or of the one above it that names the speaker
    last: int
    seconds: int
    speaker: str
    words: str
    is_exact: bool  # no time of the day: it has an end, or hours, minutes and seconds in brackets


class Transcript(NamedTuple):
    """A plain text that is one."""

    head: str  # what stands before the first time
    cues: list[Cue]


def find_transcript(source: str) -> Transcript | None:
    """What is said in a plain text, if it has times as a transcript has."""
    if sum(1 for _ in islice(_CLOCK.finditer(source), MIN_STAMPS)) < MIN_STAMPS:
        return None
    lines = source.split("\n")
    stamped = list(_stamped([line.strip() for line in lines]))
    if len(stamped) < MIN_STAMPS or not _is_transcript(lines, stamped):
        return None
    head = "\n".join(lines[: stamped[0].first])
    return Transcript(head, list(_cues([line.strip() for line in lines], stamped)))


def opens_with_time(line: str) -> bool:
    """Does a line begin with a time and go on ("10:30 Coffee")?"""
    time = _TIME_FIRST.fullmatch(line)
    return time is not None and time["words"] != ""


def _stamped(lines: Sequence[str]) -> Iterator[_Stamped]:
    for number, line in enumerate(lines):
        if time := _TIME_FIRST.fullmatch(line):
            named = _SPEAKER.match(time["words"])
            words = time["words"][named.end() :] if named else time["words"]
            name = named[1] or named[2] if named else "" if words else _name_above(lines, number)
            first = number - 1 if name and not named else number
            yield _Stamped(first, number, _seconds(time), name, words, _is_exact(time))
        elif time := _NAME_FIRST.fullmatch(line):
            yield _Stamped(number, number, _seconds(time), time["name"], time["words"], _is_exact(time))


def _name_above(lines: Sequence[str], number: int) -> str:
    """The speaker whose name stands alone right above a line."""
    is_apart = number == 1 or (number > 1 and not lines[number - 2])
    return lines[number - 1] if is_apart and _NAME_ALONE.fullmatch(lines[number - 1]) else ""


def _seconds(time: re.Match[str]) -> int:
    return int(time["hours"] or 0) * 3600 + int(time["minutes"]) * 60 + int(time["seconds"])


def _is_exact(time: re.Match[str]) -> bool:
    return bool(time["until"] or (time["bracket"] and time["hours"]))


def _is_transcript(lines: Sequence[str], stamped: Sequence[_Stamped]) -> bool:
    above = sum(map(len, lines[: stamped[0].first]))
    if _is_timetable(stamped) or above > MAX_HEAD_SHARE * sum(map(len, lines)):
        return False
    names = [stamp.speaker for stamp in stamped if stamp.speaker]
    if len(names) >= max(MIN_STAMPS, len(stamped) / 2) and len(set(names)) < len(names):
        return _said(lines, stamped) >= MIN_TURN_CHARS * len(stamped)
    if len(stamped) < MIN_NAMELESS_STAMPS and not all(stamp.is_exact for stamp in stamped):
        return False
    *before, last = stamped
    rate = _said(lines[: last.first], before) / max(1, last.seconds - stamped[0].seconds)
    return SPEECH_RATE[0] <= rate <= SPEECH_RATE[1]


def _said(lines: Sequence[str], stamped: Sequence[_Stamped]) -> int:
    """How many characters stand between the times and below them."""
    heads = sum(len(line) for stamp in stamped for line in lines[stamp.first : stamp.last + 1])
    return sum(map(len, lines[stamped[0].first :])) - heads + sum(len(stamp.words) for stamp in stamped)


def _is_timetable(stamped: Sequence[_Stamped]) -> bool:
    loose = [stamp.seconds for stamp in stamped if not stamp.is_exact]
    return sum(second % ROUND_SECONDS == 0 for second in loose) >= max(ROUND_SHARE * len(stamped), 1)


def _cues(lines: Sequence[str], stamped: Sequence[_Stamped]) -> Iterator[Cue]:
    names = _speakers(lines, stamped)
    ends = [stamp.first for stamp in stamped[1:]] + [len(lines)]
    for stamp, end in zip(stamped, ends, strict=True):
        below = lines[stamp.last + 1 : end]
        cue = Cue(stamp.words, stamp.seconds, stamp.speaker, _is_apart(lines, stamp.first))
        for number, words in enumerate([stamp.words, *below], stamp.last):
            if number > stamp.last and (named := _SPEAKER.match(words)) and named[2] in names:
                cue = cue._replace(speaker=named[2])
                words = words[named.end() :]
            if words and cue.seconds is None and _is_heading(lines, number, end):
                yield Cue(_MARK.sub("", words), kind="heading")
            elif words:
                yield _spoken(cue, words)
                cue = Cue("")
            elif number > stamp.last:
                cue = cue._replace(apart=True)


def _spoken(cue: Cue, words: str) -> Cue:
    kind: CueKind = "aside" if is_sound(words) else "speech"
    label = f"{cue.speaker}: " if cue.speaker else ""
    return cue._replace(text=one_line(words), speaker=label, apart=cue.apart or label != "", kind=kind)


def _speakers(lines: Sequence[str], stamped: Sequence[_Stamped]) -> set[str]:
    """Those who speak at a time, or often."""
    found = Counter(named[2] for line in lines if (named := _SPEAKER.match(line)) and named[2])
    often = {name for name, count in found.items() if count >= MIN_TURNS}
    return often | {stamp.speaker for stamp in stamped if stamp.speaker}


def _is_apart(lines: Sequence[str], number: int) -> bool:
    return number > 0 and not lines[number - 1]


def _is_heading(lines: Sequence[str], number: int, end: int) -> bool:
    """Does a line head what is said from the next time on, or is it marked as a heading?"""
    line = lines[number]
    if _MARK.match(line):
        return True
    stands_last = end < len(lines) and not any(lines[number + 1 : end])
    has_form = (
        len(line) <= MAX_HEADING_CHARS and not line[0].islower() and not ends_sentence(line, 0, len(line))
    )
    return _is_apart(lines, number) and stands_last and has_form
