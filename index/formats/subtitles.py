"""Subtitles (SubRip and WebVTT) → what is said, in sentences with their times.

Read by our own rules rather than a library: files in the wild keep to neither standard, and what matters
here (cues joined into sentences, speakers, captions that roll) no library does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import unescape
from itertools import dropwhile, takewhile
from typing import NamedTuple

from index.document import Parsed, one_line
from index.formats.labels import MIN_TURNS, name_of
from index.formats.speech import DASH, Cue, compose_speech, is_sound
from index.formats.text import parse_text

PAUSE_SECONDS = 2.0
"""Silence for this long before a sentence begins a paragraph."""

ROLLING_SHARE = 0.3
"""Captions roll when more cues than this share begin with what stood in the one before."""

MAX_REPEATED_CHARS = 400
"""No more than this stands on the screen; a caption has two or three lines."""

_TIME = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-{{1,2}}>\s*{_TIME}(?:\s.*)?")
_COUNTER = re.compile(r"\s*\d{1,9}\s*")
_HEADER = re.compile(r"WEBVTT(?:[ \t]+-?[ \t]*(?P<title>[^\n]*))?(?=\n|\Z)")
_SAMPLE_CHARS = 2_000

_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]{1,80})>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")
_DASH = re.compile(r"(?:[-–—‐]|(>{2,3}))\s*(?=[^\W\d_a-z]|[\"“‘'«¿¡…\[(\d♪])")
_CREDIT = re.compile(
    r"(?:subtitles?|subtitled|captions?|captioned|transcribed|transcripts?|translated|translation|sync(?:ed)?)"
    r"\b[\w\s,&]{0,40}\bby\b|.{0,80}\b(?:https?://|www\.)\S+\W*\Z",
    re.IGNORECASE,
)


class _Caption(NamedTuple):
    """A cue as it stands on the screen: when, in seconds, and each speaker's words."""

    start: float
    end: float
    words: list[tuple[str, str]]  # (name of the voice or "", words)


def is_vtt(text: str) -> bool:
    """Is this a WebVTT file?"""
    return _HEADER.match(text) is not None


def is_srt(text: str) -> bool:
    """Does this begin like a SubRip file: a number and a line of times, or at once with the times?"""
    lines = [line for line in text[:_SAMPLE_CHARS].split("\n", 4) if line.strip()][:2]
    if lines and _COUNTER.fullmatch(lines[0]):
        del lines[0]
    return bool(lines) and _TIMING.fullmatch(lines[0]) is not None


def parse_subtitles(source: str) -> Parsed:
    """What is said in a SubRip or WebVTT file with `\\n` line ends; one without any times is read as text."""
    header = _HEADER.match(source)
    timed = _timed(source)
    if not timed and not header:
        return parse_text(source)
    captions = [_caption(timing, _until_empty(lines) if header else lines) for timing, lines in timed]
    title = one_line(header["title"] or "") if header else ""
    return compose_speech(list(_cues(list(_unroll(captions)))), title or None)


def _timed(source: str) -> list[tuple[re.Match[str], list[str]]]:
    """The lines with times, and the lines below each of them without the number of the next."""
    timed: list[tuple[re.Match[str], list[str]]] = []
    lines: list[str] = []  # since the last line with times
    is_counted = False
    for line in source.split("\n"):
        if timing := _TIMING.fullmatch(line):
            is_counted = is_counted or (not timed and _ends_with_counter(lines))
            if _ends_with_counter(lines) and (is_counted or (len(lines) > 1 and not lines[-2].strip())):
                lines.pop()
            lines = []
            timed.append((timing, lines))
        else:
            lines.append(line)
    return timed


def _ends_with_counter(lines: Sequence[str]) -> bool:
    return bool(lines) and _COUNTER.fullmatch(lines[-1]) is not None


def _until_empty(lines: Sequence[str]) -> Iterator[str]:
    """In WebVTT a cue ends at an empty line: notes and the name of the next cue may follow."""
    return takewhile(bool, dropwhile(lambda line: not line.strip(), lines))


def _caption(timing: re.Match[str], lines: Iterable[str]) -> _Caption:
    words = [part for line in lines for part in _by_voice(line)]
    return _Caption(_time(timing.groups()[:4]), _time(timing.groups()[4:]), words)


def _time(time: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = time
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction or 0}")


def _by_voice(line: str) -> Iterator[tuple[str, str]]:
    """The words of a line without markup, by voice."""
    before, *named = _VOICE.split(line)
    for voice, words in [("", before), *zip(named[::2], named[1::2], strict=True)]:
        if clean := one_line(unescape(_TAG.sub("", words))):
            yield one_line(unescape(voice)), clean


def _unroll(captions: Sequence[_Caption]) -> Iterator[_Caption]:
    """Leave out what stood on the screen already, where captions roll."""
    shown = [" ".join(words for _, words in caption.words) for caption in captions]
    repeated = [0, *map(_overlap, shown, shown[1:])]
    if sum(map(bool, repeated)) < max(2, ROLLING_SHARE * len(captions)):
        repeated = [0] * len(captions)
    for caption, count in zip(captions, repeated, strict=True):
        yield caption._replace(words=list(_after(caption.words, count)))


def _overlap(before: str, after: str) -> int:
    """How many words at the end of one caption begin the next: two at least, or all of one of them."""
    last, first = before[-MAX_REPEATED_CHARS:].split(), after[:MAX_REPEATED_CHARS].split()
    shorter = min(len(last), len(first))
    found = next((count for count in range(shorter, 0, -1) if last[-count:] == first[:count]), 0)
    return found if found > 1 or shorter == 1 else 0


def _after(parts: Sequence[tuple[str, str]], count: int) -> Iterator[tuple[str, str]]:
    """What is left of the words without the first `count`."""
    for voice, text in parts:
        words = text.split(maxsplit=count)
        if len(words) > count:
            yield voice, words[-1]
        count -= min(count, len(words))


def _cues(captions: Sequence[_Caption]) -> Iterator[Cue]:
    """Captions with their speakers."""
    names = Counter(_name(text) for caption in captions for _, text in caption.words)
    last_end = 0.0
    for caption in captions:
        apart = caption.start - last_end >= PAUSE_SECONDS
        last_end = caption.end
        for voice, text in caption.words:
            yield _cue(caption, voice, text, names, apart=apart)
            apart = False


def _name(text: str) -> str | None:
    """The name that opens what is said ("ANNA: …"), after a dash or without."""
    dash = _DASH.match(text)
    return name_of(text[dash.end() :] if dash else text)


def _cue(caption: _Caption, voice: str, text: str, names: Mapping[str | None, int], *, apart: bool) -> Cue:
    seconds = int(caption.start)
    if is_sound(text) or _CREDIT.match(text):
        return Cue(text, seconds, apart=apart, kind="aside")
    dash = _DASH.match(text)
    words = text[dash.end() :] if dash else text
    name = name_of(words)
    if name and (names[name] >= MIN_TURNS or name == name.upper()):
        voice, words = name, words[len(name) + 1 :].strip()
    label = f"{voice}: " if voice else "" if dash is None else f"{dash[1]} " if dash[1] else DASH
    return Cue(words, seconds, label, apart)
