"""A follow-up question and the turns before it → what is searched, and why. No language model.

A question leans on the conversation when its cues say so (a logistic regression over `cues.py`, fitted by
`python -m rag.conversation.fit`). What is searched then is the question as it was typed with the one that it
leans on in brackets: the reader sees both, and what was quoted for the earlier one is held back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from index.analysis import topic_terms, words
from rag.answer import Quote, ResolutionKind, Turn
from rag.conversation.cues import (
    CUES,
    CUES_OF_WORDS,
    PRONOUN_CUES,
    asks_for_another,
    cues_of_what_is_found,
    cues_of_words,
    return_to,
)
from rag.reader.linear import Coefficients, coefficients_of
from rag.retrieval import Retrieved

MAX_TURNS = 20
"""Earlier turns that count."""

SURE = 0.9
"""From this probability on its words alone say that a question leans: a search less."""

MAX_QUOTE_CHARS = 2_000
"""Of a quote of the history, which comes from the caller, so much is looked at."""

WEIGHTS = "weights.json"

_SMALL_TALK = frozenset(
    """thanks thank thx ty cheers great cool nice super perfect brilliant lovely wonderful awesome interesting
    good hi hello hey bye goodbye morning evening ok okay wow haha lol""".split()
)
_AROUND_SMALL_TALK = _SMALL_TALK | frozenset(
    """you very much so a lot for that this the all help its it is was thats then one really ah oh and i see
    got now to know answer everything day have are exactly what needed wanted helpful helps helped clear makes
    sense""".split()
)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a question was taken to mean."""

    kind: ResolutionKind
    question: str  # what is searched
    quoted: tuple[Quote, ...] = ()  # what the turn it leans on was answered with: held back
    another: bool = False  # it asks for something else than `quoted`


STANDS_ALONE: frozenset[ResolutionKind] = frozenset({"standalone", "topic_switch", "chitchat"})


def is_small_talk(question: str) -> bool:
    """Whether there is nothing to search for: thanks, greetings."""
    said = words(question)
    return (
        bool(said)
        and not _SMALL_TALK.isdisjoint(said)
        and _AROUND_SMALL_TALK.issuperset(said)
        and "?" not in question
    )


def resolve(question: str, history: Sequence[Turn], retrieved: Callable[[str], Retrieved]) -> Resolution:
    """What the question means after these turns, oldest first.

    `retrieved` searches; it is not called for the question as typed where the words alone say that it leans.
    """
    turns = [turn for turn in history[-MAX_TURNS:] if not is_small_talk(turn.question)]
    if not turns:
        return Resolution("standalone", question)
    returning = return_to(question)
    if returning is not None:
        topic, rest = returning
        return _leaning("return", rest, _turn_about(topic, turns))
    last = turns[-1]
    cues = cues_of_words(question, _texts(turns[-2:]))
    if chance(cues, CUES_OF_WORDS) < SURE:
        cues |= cues_of_what_is_found(retrieved(question), _quoted(last))
        if chance(cues, CUES) < 0.5:
            return Resolution(_alone(question, last), question)
    if asks_for_another(question):
        return _for_another(_kind(cues), question, turns)
    return _leaning(_kind(cues), question, last)


def chance(cues: dict[str, float], names: tuple[str, ...]) -> float:
    """The probability that a question leans on the turn before it: by all cues, or by those of its words."""
    row = np.array([[cues[name] for name in names]], dtype=np.float32)
    return float(1.0 / (1.0 + np.exp(-_weights(names)(row)[0])))


@cache
def _weights(names: tuple[str, ...]) -> Coefficients:
    content = json.loads(files("rag.conversation").joinpath(WEIGHTS).read_text("utf-8"))
    return coefficients_of(content["all" if names == CUES else "words"], names)


def _leaning(kind: ResolutionKind, question: str, turn: Turn) -> Resolution:
    return Resolution(kind, together(question, turn.question), _quoted(turn)[:1])


def _for_another(kind: ResolutionKind, question: str, turns: Sequence[Turn]) -> Resolution:
    """What else there is to the question that the last turns were about, however often it is asked."""
    first = next((at for at in reversed(range(len(turns))) if not _asked_for_another(turns[at])), 0)
    quoted = tuple(quote for turn in turns[first:] for quote in _quoted(turn))
    return Resolution(kind, together(question, turns[first].question), quoted, another=True)


def _asked_for_another(turn: Turn) -> bool:
    leaned = turn.answer is not None and turn.answer.resolution not in STANDS_ALONE
    return leaned and asks_for_another(turn.question)


def together(question: str, before: str) -> str:
    """A question with the one that it leans on, as it is searched and as the reader learned to read it."""
    return f"{question.strip()} ({before.strip()})"


def _kind(cues: dict[str, float]) -> ResolutionKind:
    if cues["what_about"]:
        return "what_about"
    if cues["correction"]:
        return "correction"
    if any(cues[name] for name in PRONOUN_CUES):
        return "pronoun"
    if cues["connective"] or cues["topics_0"] or cues["topics_1"]:
        return "ellipsis"
    return "refers_to_answer"


def _alone(question: str, last: Turn) -> ResolutionKind:
    known = {term for text in _texts([last]) for term in topic_terms(text)}
    return "topic_switch" if known.isdisjoint(topic_terms(question)) else "standalone"


def _turn_about(topic: str, turns: Sequence[Turn]) -> Turn:
    """The latest of the turns that speak most of it."""
    sought = set(topic_terms(topic))

    def shared(turn: Turn) -> int:
        return len(sought & {term for text in _texts([turn]) for term in topic_terms(text)})

    return max(reversed(turns), key=shared)


def _texts(turns: Sequence[Turn]) -> list[str]:
    """The questions and what was quoted first for each."""
    return [
        text
        for turn in turns
        for text in (turn.question, *(quote.text[:MAX_QUOTE_CHARS] for quote in _quoted(turn)[:1]))
    ]


def _quoted(turn: Turn) -> tuple[Quote, ...]:
    """What was shown as an answer, or as a possible one."""
    if turn.answer is None:
        return ()
    return turn.answer.quotes or (turn.answer.leads if turn.answer.status == "unsure" else ())


__all__ = ["MAX_TURNS", "Resolution", "is_small_talk", "resolve", "together"]
