"""Fits what stands around the network: how its logits and retrieval's features order sentences, what its
log-odds are worth as a probability, and where that probability divides answers from abstentions.

All of it on documents held out of the network's training, so that its logits are as good or bad as they are
on a document that nobody has seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from index.embedding import FloatArray
from rag.reader.examples import Example
from rag.reader.features import FEATURES, feature_matrix
from rag.reader.linear import Coefficients, Platt
from rag.reader.scoring import SentenceScorer, log_odds

BoolArray = NDArray[np.bool_]

RIDGE = 1e-3
FOLDS = 5
TOLERANCE = 0.01

UNSURE_SHARE = 0.1
"""Of the answerable questions, the share whose confidence lies below the "unsure" threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One question with the sentences of its best passages, read by the network."""

    document: str
    rows: FloatArray  # (n_candidates, n_features)
    log_odds: float  # that something answers, says the network
    right: BoolArray  # (n_candidates,)
    answerable: bool
    weight: float


def ask(examples: Sequence[Example], scorer: SentenceScorer, weight: float) -> Iterator[Asked]:
    """What the network says of each example's best passages; the weights sum to `weight`."""
    for example in track(examples, description="asking held-out documents"):
        windows = example.to_read()
        if windows:
            read = [window.to_read() for window in windows]
            logits = [found for found, _, _ in scorer.run(example.question, read)]
            rows = feature_matrix(logits, np.concatenate([each.evidence for each in read]))
            right = np.concatenate([np.array(window.right) for window in windows])
            share = weight / len(examples)
            yield Asked(example.document, rows, log_odds(logits), right, example.answerable, share)


def fit_ranking(asked: Sequence[Asked]) -> Coefficients:
    """Conditional logit: the weights that make the right sentence most probable among its question's."""
    usable = [each for each in asked if each.right.any() and not each.right.all()]
    stacked = np.concatenate([each.rows for each in usable])
    mean, scale = stacked.mean(axis=0), np.maximum(stacked.std(axis=0), 1e-6)
    rows = ((stacked - mean) / scale).astype(np.float64)
    right = np.concatenate([each.right for each in usable])
    sizes = np.array([len(each.rows) for each in usable])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    owner = np.repeat(np.arange(len(usable)), sizes)
    weights = np.array([each.weight for each in usable])
    weights = weights / weights.sum()

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = rows @ beta
        powers = np.exp(scores - np.maximum.reduceat(scores, starts)[owner])
        everything = np.add.reduceat(powers, starts)
        correct = np.add.reduceat(powers * right, starts)
        probability = powers / everything[owner]
        posterior = powers * right / np.maximum(correct, 1e-300)[owner]
        gradient = rows.T @ ((probability - posterior) * weights[owner]) + 2 * RIDGE * beta
        return float(-(weights * np.log(correct / everything)).sum() + RIDGE * beta @ beta), gradient

    beta = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Coefficients(mean, scale, beta.astype(np.float32), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """For every question what the network says, and whether the best sentence was right."""

    log_odds: NDArray[np.float64]  # (n_questions,)
    question_match: NDArray[np.float64]  # (n_questions,), of the best sentence
    right: BoolArray
    answerable: BoolArray
    weights: NDArray[np.float64]


def judge(asked: Sequence[Asked]) -> Judged:
    """Look at the best sentence of each question, by a ranking that was fitted on other documents.

    A ranking that saw the document would look too good.
    """
    folds = np.array([zlib.crc32(each.document.encode()) % FOLDS for each in asked])
    right = np.zeros(len(asked), dtype=bool)
    match = np.zeros(len(asked))
    for fold in set(folds):
        ranking = fit_ranking([each for each, mine in zip(asked, folds, strict=True) if mine != fold])
        for number in map(int, np.flatnonzero(folds == fold)):
            best = int(np.argmax(ranking(asked[number].rows)))
            right[number] = asked[number].right[best]
            match[number] = asked[number].rows[best, FEATURES.index("question_match")]
    return Judged(
        np.array([each.log_odds for each in asked]),
        match,
        right,
        np.array([each.answerable for each in asked]),
        np.array([each.weight for each in asked]),
    )


def fit_confidence(judged: Judged) -> Platt:
    """Platt scaling of the network's log-odds to the chance that the best sentence answers (Platt 1999).

    More evidence (retrieval's, the kind of answer wanted) made it rank questions worse: docs/quality.md.
    """
    model = LogisticRegression(max_iter=1_000, C=1e6)
    weights = judged.weights / judged.weights.mean()
    rows = np.column_stack([judged.log_odds, judged.question_match])
    model.fit(rows, judged.right, sample_weight=weights)
    slope, match = (round(float(weight), 6) for weight in model.coef_[0])
    return Platt(slope, match, round(float(model.intercept_[0]), 6))


def fit_operating_point(judged: Judged, confidence: Platt) -> dict[str, float]:
    """The threshold with the best mean of "answered rightly" and "rightly abstained".

    The mean is flat around its best: the lowest threshold within TOLERANCE of it is taken, to answer most.
    """
    pairs = zip(judged.log_odds, judged.question_match, strict=True)
    scores = np.array([confidence(odds, match) for odds, match in pairs])
    answerable, weights = judged.answerable, judged.weights

    def balanced(threshold: float) -> float:
        rightly = np.average((scores >= threshold) & judged.right, weights=weights * answerable)
        abstained = np.average(scores < threshold, weights=weights * ~answerable)
        return float(rightly + abstained) / 2

    balance = {round(0.01 * step, 2): balanced(0.01 * step) for step in range(5, 95)}
    answer = min(each for each in balance if balance[each] >= max(balance.values()) - TOLERANCE)
    unsure = np.quantile(scores[answerable], UNSURE_SHARE, weights=weights[answerable], method="inverted_cdf")
    return {"answer": answer, "unsure": min(round(float(unsure), 2), answer)}


def calibrate(asked: Sequence[Asked]) -> dict[str, Any]:
    """All coefficients and the operating point, as plain values."""
    judged = judge(asked)
    confidence = fit_confidence(judged)
    return {
        "ranking": fit_ranking(asked).to_json(FEATURES),
        "confidence": asdict(confidence),
        "operating_point": fit_operating_point(judged, confidence),
    }
