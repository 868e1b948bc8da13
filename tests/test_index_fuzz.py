"""Damaged files of every format, and those that once broke a parser, are refused or become documents."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from unittest import mock

import pytest
from fuzz import FORMATS, SLOW_SECONDS, damaged, read_here
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import outcome

from index.formats import pdf

BROKE = sorted((Path(__file__).parent / "data" / "fuzz").glob("*/*"))


@pytest.mark.parametrize("format_name", FORMATS)
@settings(deadline=None, max_examples=60)
@given(chance=st.randoms(use_true_random=False))
def test_damaged_files_are_refused_or_keep_the_invariants(format_name: str, chance: Random) -> None:
    """`python tests/fuzz.py FORMAT` tries more of them."""
    data = damaged(format_name, chance)
    with mock.patch.object(pdf, "_read_apart", read_here):
        for name in FORMATS[format_name].names:
            outcome(data, name)


@pytest.mark.parametrize("file", BROKE, ids=lambda file: file.name)
def test_what_once_broke_a_parser_breaks_it_no_more(file: Path) -> None:
    started = time.process_time()
    outcome(file.read_bytes(), file.name)
    assert time.process_time() - started < SLOW_SECONDS
