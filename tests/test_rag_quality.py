"""The shipped reader on a small fixed sample of the development data: floors with a margin.

`data/authored_dev` holds five of the twenty documents that docs/quality.md reports on, with 125 questions.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from index.embedding import Embedder
from rag.evaluation import Report, evaluate
from rag.reader.train import AUTHORED, AUTHORED_2

pytestmark = pytest.mark.model

SAMPLE = Path(__file__).parent / "data" / "authored_dev"


@pytest.fixture(scope="module")
def report(embedder: Embedder) -> Report:
    return evaluate(SAMPLE, embedder=embedder)


@pytest.mark.parametrize(
    ("measure", "floor"),
    [
        ("sentence hit@1", 0.70),
        ("sentence hit@3", 0.86),
        ("abstention AUROC", 0.88),
        ("balanced mean", 0.72),
        ("exact quotes", 1.0),
    ],
)
def test_figures_stay_above_their_floor(report: Report, measure: str, floor: float) -> None:
    values = {each.name: each.value for each in report.measures()}
    assert values[measure] >= floor


def test_confidence_means_what_it_says(report: Report) -> None:
    values = {each.name: each.value for each in report.measures()}
    assert values["calibration error"] < 0.2


def test_nothing_trained_on_is_in_the_sample() -> None:
    folders = (AUTHORED, AUTHORED_2)
    trained_on = {file.name for folder in folders for file in folder.iterdir() if file.name != "README"}
    assert not trained_on & {file.name for file in SAMPLE.iterdir()}
