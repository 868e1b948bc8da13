from __future__ import annotations

import json
import zlib

import numpy as np
import pytest

from rag.reader.calibration import (
    FOLDS,
    Asked,
    Judged,
    ask,
    fit_confidence,
    fit_operating_point,
    fit_ranking,
    judge,
)
from rag.reader.examples import Example, Window
from rag.reader.features import EVIDENCE, FEATURES, READ_HITS
from rag.reader.linear import Platt
from rag.reader.scoring import SentenceScorer
from rag.reader.trained import CALIBRATION, MODEL_FOLDER, WEIGHTS

WIDTH = len(FEATURES)


def examples(count: int, seed: int = 0) -> list[Asked]:
    """Feature 0 says which sentence is right, feature 1 says the opposite, the others are noise."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rows = generator.normal(size=(8, WIDTH)).astype(np.float32)
        right = np.zeros(8, dtype=bool)
        right[int(np.argmax(rows[:, 0] - rows[:, 1]))] = True
        found.append(Asked(f"document {len(found)}", rows, 0.0, right, True, 1.0))
    return found


def test_ranking_finds_what_decides() -> None:
    ranking = fit_ranking(examples(2_000))
    weights = ranking.weights * (1 / ranking.scale)
    assert weights[0] > 5 * np.abs(weights[2:]).max()
    assert weights[1] < -5 * np.abs(weights[2:]).max()
    fresh = examples(200, seed=1)
    assert np.mean([each.right[np.argmax(ranking(each.rows))] for each in fresh]) > 0.9


def judged(count: int = 4_000) -> Judged:
    """Log-odds of which half are the log-odds that the best sentence is right."""
    generator = np.random.default_rng(0)
    log_odds = 4 * generator.normal(size=count)
    right = generator.random(count) < 1 / (1 + np.exp(-0.5 * log_odds))
    return Judged(log_odds, np.zeros(count), right, right.copy(), np.full(count, 1 / count))


def test_confidence_is_calibrated() -> None:
    data = judged()
    platt = fit_confidence(data)
    assert platt.slope == pytest.approx(0.5, abs=0.05)
    confidence = np.array([platt(each, 0.0) for each in data.log_odds])
    for low in np.arange(0.1, 0.9, 0.2):
        among = (confidence >= low) & (confidence < low + 0.2)
        assert confidence[among].mean() == pytest.approx(data.right[among].mean(), abs=0.06)


def test_operating_point_balances() -> None:
    point = fit_operating_point(judged(), Platt(0.5, 0.0, 0.0))
    # 0.5 is best by construction; of the flat top the lowest is taken
    assert 0.35 < point["answer"] <= 0.52
    assert point["unsure"] <= point["answer"]


def test_the_thresholds_never_cross() -> None:
    data = judged()
    easy = Judged(
        data.log_odds + 30 * data.answerable, data.question_match, data.right, data.answerable, data.weights
    )
    point = fit_operating_point(easy, Platt(0.5, 0.0, 0.0))
    assert point["unsure"] <= point["answer"]


def test_what_is_judged_was_ranked_by_other_documents() -> None:
    """Feature 0 decides everywhere but in the documents of one fold, where the first sentence is right."""
    asked = examples(500)
    odd = [number for number, each in enumerate(asked) if zlib.crc32(each.document.encode()) % FOLDS == 2]
    for number in odd:
        asked[number].right[:] = False
        asked[number].right[0] = True
    right = judge(asked).right
    assert right[odd].mean() < 0.5
    assert np.delete(right, odd).mean() > 0.6


def test_what_is_asked_is_what_the_reader_would_read() -> None:
    text = "Cats sleep sixteen hours. Dogs bark at night."
    spans = ((0, 25), (26, len(text)))
    evidence = np.zeros((2, len(EVIDENCE)), dtype=np.float16).tobytes()
    windows = [Window(text, spans, (False, at == READ_HITS), (), evidence) for at in range(READ_HITS + 2)]
    windows[1] = Window(text, spans, (True, False), (), evidence)
    example = Example("How long do cats sleep?", "factoid", "toy", "pets.txt", True, tuple(windows))
    sha256 = json.loads((MODEL_FOLDER / CALIBRATION).read_text("utf-8"))["sha256"]
    asked = list(ask([example, example], SentenceScorer(MODEL_FOLDER / WEIGHTS, sha256), 0.5))
    assert [each.weight for each in asked] == [0.25, 0.25]
    assert asked[0].rows.shape == (2 * READ_HITS, WIDTH)
    assert np.flatnonzero(asked[0].right).tolist() == [2]
    assert asked[0].log_odds == pytest.approx(np.logaddexp.reduce(asked[0].rows[:, 0]), abs=1e-3)
