"""The labels that open lines: of questions and answers ("Q1:", "A:") and of those who speak ("JO:")."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

QUESTION = r"Q(?:uestion|UESTION)?[ ]?\d{0,3}[ ]?[:.)]"
ANSWER = r"A(?:nswer|NSWER)?[ ]?\d{0,3}[ ]?[:.)]"

MIN_TURNS = 3
"""A label that opens fewer lines is none: any sentence may have a colon near its beginning."""

_LABEL = re.compile(rf"(?:(?P<question>{QUESTION})|(?P<answer>{ANSWER}))\s+(?=\S)")
_NAME = re.compile(r"([^\W\d_a-z][\w.’'-]*(?:\s[^\W\d_a-z][\w.’'-]*){0,2}):\s+(?=\S)")

TurnKind = Literal["question", "answer", "turn", "field"]


def split_label(line: str) -> tuple[Literal["question", "answer"] | None, int]:
    """What the label of a line says it is, and where its content begins (0 without a label)."""
    match = _LABEL.match(line)
    if match is None:
        return None, 0
    return ("question" if match["question"] else "answer"), match.end()


def name_of(line: str) -> str | None:
    """The name that opens a line and ends with a colon: a speaker's, or that of a field."""
    match = _NAME.match(line[:_MAX_LABEL_CHARS])
    return match[1] if match else None


_MAX_LABEL_CHARS = 40


def read_turns(lines: Sequence[str]) -> dict[int, tuple[TurnKind, int]]:
    """Lines whose labels recur, by index: what each is and where its content begins.

    Where speakers put questions to each other, a line that ends with "?" is a question, the next speaker's an
    answer, and every other a turn. Otherwise they are the fields of records ("Methods: …"), read with their
    labels.
    """
    names = {place: name for place, line in enumerate(lines) if (name := name_of(line))}
    counts = Counter(names.values())
    names = {place: name for place, name in names.items() if counts[name] >= MIN_TURNS}
    asked = {place for place in names if lines[place].endswith("?") and _is_answered(names, place)}
    if not asked:
        return dict.fromkeys(names, ("field", 0))
    turns: dict[int, tuple[TurnKind, int]] = {}
    for place, name in names.items():
        kind: TurnKind = "question" if place in asked else "answer" if place - 1 in asked else "turn"
        content = lines[place][len(name) + 1 :]
        turns[place] = kind, len(lines[place]) - len(content.lstrip())
    return turns


def _is_answered(names: Mapping[int, str], place: int) -> bool:
    return names.get(place + 1, names[place]) != names[place]
