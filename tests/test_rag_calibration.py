from __future__ import annotations

import numpy as np
import pytest

from rag.reader.calibration import Asked, Judged, fit_confidence, fit_operating_point, fit_ranking
from rag.reader.evidence import EVIDENCE
from rag.reader.features import FEATURES
from rag.reader.linear import Coefficients, sigmoid
from rag.retrieval import Query

WIDTH = len(FEATURES)


def examples(count: int, seed: int = 0) -> list[Asked]:
    """Feature 0 says which sentence is right, feature 1 says the opposite, the others are noise."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rows = generator.normal(size=(8, WIDTH)).astype(np.float32)
        right = np.zeros(8, dtype=bool)
        right[int(np.argmax(rows[:, 0] - rows[:, 1]))] = True
        query = Query("?", np.ones(1, dtype=np.float32), ("a",), {"a": 1.0}, 0.0, 1.0)
        found.append(Asked(query, f"document {len(found)}", list(range(8)), rows, {}, right, True, 1.0))
    return found


def test_ranking_finds_what_decides() -> None:
    ranking = fit_ranking(examples(2_000))
    weights = ranking.weights * (1 / ranking.scale)
    assert weights[0] > 5 * np.abs(weights[2:]).max()
    assert weights[1] < -5 * np.abs(weights[2:]).max()
    fresh = examples(200, seed=1)
    assert np.mean([each.right[np.argmax(ranking(each.rows))] for each in fresh]) > 0.95


def judged(count: int = 4_000) -> Judged:
    """The first evidence is the log-odds that the best sentence is right."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(count, len(EVIDENCE))).astype(np.float32)
    right = generator.random(count) < 1 / (1 + np.exp(-2 * rows[:, 0]))
    return Judged(rows, right, right.copy(), np.full(count, 1 / count))


def test_confidence_is_calibrated() -> None:
    data = judged()
    confidence = sigmoid(fit_confidence(data)(data.rows))
    for low in np.arange(0.1, 0.9, 0.2):
        among = (confidence >= low) & (confidence < low + 0.2)
        assert confidence[among].mean() == pytest.approx(data.right[among].mean(), abs=0.06)


def test_operating_point_balances() -> None:
    data = judged()
    weights = np.zeros(len(EVIDENCE), dtype=np.float32)
    weights[0] = 2.0
    ones = np.ones(len(EVIDENCE), dtype=np.float32)
    point = fit_operating_point(data, Coefficients(0 * ones, ones, weights, 0.0))
    # 0.5 is best by construction; of the flat top the lowest is taken
    assert 0.35 < point["answer"] <= 0.52
    assert point["unsure"] < point["answer"]
