from __future__ import annotations

import numpy as np
import pytest

from rag.reader.examples import SWAPPED, Example, Window
from rag.reader.swaps import swapped

TRAP = (
    "In 1893 the engineer Ada Lindqvist built the first tunnel. Her rival Bo Falk began the second in 1897."
)
OTHER = "The bridge was opened by Carl Ek in 1911."


def example(question: str, *, answerable: bool = True) -> Example:
    first = TRAP.index("Her rival")
    right, focus = (answerable, False), ((3, 7),) if answerable else ()
    windows = (
        Window(OTHER, ((0, len(OTHER)),), (False,), (), b""),
        Window(TRAP, ((0, first - 1), (first, len(TRAP))), right, focus, b""),
    )
    return Example(question, "factoid", "squad", "tunnels.txt", answerable, windows)


def changes(question: str) -> set[str]:
    found = (swapped(example(question), np.random.default_rng(seed)) for seed in range(40))
    return {each.question for each in found if each is not None}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When did Ada Lindqvist dig?", {"When did Bo Falk dig?", "When did Carl Ek dig?"}),
        ("Who dug in 1893?", {"Who dug in 1897?", "Who dug in 1911?"}),
        ("When did Ada Lindqvist open a bridge?", {"When did Bo Falk open a bridge?"}),  # Carl Ek did
        ("Which tunnel is longest?", {"Which tunnel is shortest?"}),
        ("Who dug the last tunnel of the Cold War?", set()),  # the first one is there, "Cold" is a name
    ],
)
def test_one_name_number_or_opposite_is_exchanged(question: str, expected: set[str]) -> None:
    assert changes(question) == expected


def test_the_passage_that_answered_is_read_and_no_longer_answers() -> None:
    found = swapped(example("Who dug in 1893?"), np.random.default_rng(0))
    assert found is not None
    assert (found.kind, found.answerable, found.usable) == (SWAPPED, False, True)
    assert [window.text for window in found.windows] == [TRAP]
    assert not any(any(window.right) or window.focus for window in found.windows)


def test_nothing_is_made_up_where_nothing_can_be_exchanged() -> None:
    assert changes("Who dug it?") == set()
    assert changes("Who dug in 1950?") == set()  # no passage has it: the question leans on nothing
    assert swapped(example("Who dug in 1893?", answerable=False), np.random.default_rng(0)) is None
