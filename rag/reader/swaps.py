"""Questions changed by one word so that what answered them no longer does.

A name or a number of the question becomes another one of the same passages, or a word its opposite, as in
the unanswerable questions of SQuAD 2.0 (Rajpurkar et al. 2018, table 2: entity swap, antonym). A network
that only looks for what the question is about can't tell them from the original; one that reads can.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from index.analysis import STOP_WORDS, topic_terms
from rag.reader.examples import SWAPPED, Example, Window

OPPOSITES = """
    first last, most least, more fewer, more less, largest smallest, larger smaller, biggest smallest,
    highest lowest, higher lower, high low, oldest youngest, older younger, old new, earliest latest,
    earlier later, early late, before after, begin end, began ended, beginning end, start end, started
    ended, north south, northern southern, east west, eastern western, increase decrease, increased
    decreased, rise fall, rose fell, gain lose, gained lost, win lose, won lost, best worst, better
    worse, male female, men women, man woman, king queen, husband wife, father mother, son daughter,
    brother sister, above below, maximum minimum, majority minority, inside outside,
    internal external, import export, imports exports, strong weak, stronger weaker, strongest weakest,
    fast slow, faster slower, long short, longest shortest, positive negative, public private, accepted
    rejected, approved rejected, allowed forbidden, support oppose, supported opposed, attack defend,
    attacked defended, built destroyed, created destroyed, opened closed, heavy light, hot
    cold, warm cold, rich poor, urban rural, common rare, always never, advantage disadvantage,
    advantages disadvantages, benefit harm, success failure, modern ancient, upper lower,
    wide narrow, deep shallow, hard soft, simple complex, can cannot
"""

_NAME = re.compile(r"(?<=[\w,;’'”)] )[A-Z][\w’'-]+(?: (?:(?:of|de|van|von) )?[A-Z][\w’'-]+)*")
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_WORD = re.compile(r"(?<![\w’'-])[a-z]+(?![\w’'-])")


def _opposites() -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for pair in OPPOSITES.split(","):
        one, other = pair.split()
        table.setdefault(one, []).append(other)
        table.setdefault(other, []).append(one)
    return table


_OPPOSITES = _opposites()

Change = tuple[int, int, str]
"""Range of the question, and what stands there instead."""


def swapped(example: Example, generator: np.random.Generator) -> Example | None:
    """The question with one change that leaves it unanswered, or None where none can be made.

    Its only window is the passage that answered the original: the trap. What retrieval knew of the original
    stays as well, so that a good match of words is no proof.
    """
    traps = [window for window in example.windows if any(window.right)]
    kinds = [changes for changes in (find(example) for find in FINDERS) if changes]
    if not traps or not kinds:
        return None
    changes = kinds[int(generator.integers(len(kinds)))]
    start, end, word = changes[int(generator.integers(len(changes)))]
    return replace(
        example,
        question=example.question[:start] + word + example.question[end:],
        kind=SWAPPED,
        answerable=False,
        windows=(_unanswering(traps[0]),),
    )


def _unanswering(window: Window) -> Window:
    return replace(window, right=(False,) * len(window.right), focus=())


def _exchanged(pattern: re.Pattern[str], example: Example) -> list[Change]:
    """Each match of the question that a right window has too, with each other match of the windows.

    One is not taken where its sentence may answer the changed question: it is right, or has more of what is
    asked for than the exchanged word.
    """
    right_text = " ".join(window.text for window in example.windows if any(window.right))
    places = [
        match
        for match in pattern.finditer(example.question)
        if not _is_common(match[0]) and match[0] in right_text
    ]
    return [
        (*match.span(), other)
        for match in places
        for other in _others(pattern, example, example.question.replace(match[0], " "))
        if len(other.split()) <= len(match[0].split()) + 1
    ]


def _others(pattern: re.Pattern[str], example: Example, rest: str) -> list[str]:
    """What may stand in the place that `rest`, the remaining question, leaves open."""
    asked = set(topic_terms(rest))
    taken: set[str] = set()
    found: set[str] = set()
    for window in example.windows:
        for (start, end), right in zip(window.spans, window.right, strict=True):
            sentence = window.text[start:end]
            here = {match[0] for match in pattern.finditer(sentence)}
            found |= here
            if right or asked.intersection(topic_terms(sentence)):
                taken |= here
    return sorted(each for each in found - taken if not _is_common(each) and each not in example.question)


def _is_common(word: str) -> bool:
    return word.lower() in STOP_WORDS


def _names(example: Example) -> list[Change]:
    return _exchanged(_NAME, example)


def _numbers(example: Example) -> list[Change]:
    """Numbers of as many digits, so that a year becomes a year."""
    return [
        (start, end, other) for start, end, other in _exchanged(_NUMBER, example) if len(other) == end - start
    ]


def _antonyms(example: Example) -> list[Change]:
    """Opposites that no right window has."""
    there = {word for window in example.windows if any(window.right) for word in _WORD.findall(window.text)}
    return [
        (*match.span(), other)
        for match in _WORD.finditer(example.question)
        for other in _OPPOSITES.get(match[0], ())
        if other not in there
    ]


FINDERS: tuple[Callable[[Example], list[Change]], ...] = (_names, _numbers, _antonyms)
