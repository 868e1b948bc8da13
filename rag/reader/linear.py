"""The first reader: linear models over retrieval features, fitted by `python -m rag.reader.fit`.

Sentences are ranked by a conditional logit model (McFadden 1974; "listwise softmax" in learning to rank,
Cao et al. 2007); whether the best of them answers at all is a logistic regression over what a person would
look at. The coefficients are in `linear.json` beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np

from index.embedding import FloatArray
from index.errors import ModelError
from rag.reader import OperatingPoint, Reading, Span
from rag.reader.expectation import Expectation, expectation
from rag.reader.features import FEATURES, Candidate, candidates_of, feature_matrix, news
from rag.retrieval import Query, Retrieved

EVIDENCE = (
    "score",
    "probability",
    "margin",
    "sentence_similarity",
    "sentence_coverage",
    "passage_coverage",
    "rarest_missing",
    "names_missing",
    "numbers_missing",
    "question_match",
    "nearest_sentence",
    "nearest_passage",
    "expectation_met",
    "expectation_missed",
    "unknown_share",
    "log_question_terms",
    "mean_idf",
)
"""What the confidence looks at, in order."""

FOCUSED: frozenset[Expectation] = frozenset({"time", "number", "name", "reason"})
"""Kinds of answer that stand in a part of the sentence."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """One linear model: `(x - mean) / scale @ weights + bias`."""

    mean: FloatArray
    scale: FloatArray
    weights: FloatArray
    bias: float

    def __call__(self, rows: FloatArray) -> FloatArray:
        """rows: (n, n_features) → (n,) scores."""
        scores = (rows - self.mean) / self.scale @ self.weights + self.bias
        return np.asarray(scores, dtype=np.float32)


class LinearReader:
    """Ranks sentences and judges the best by the coefficients in `linear.json`."""

    def __init__(self, coefficients: dict[str, Any] | None = None) -> None:
        self._given = coefficients

    @cached_property
    def _coefficients(self) -> dict[str, Any]:
        if self._given is not None:
            return self._given
        content: dict[str, Any] = json.loads(files("rag.reader").joinpath("linear.json").read_text("utf-8"))
        return content

    @cached_property
    def ranking(self) -> Coefficients:
        return _linear(self._coefficients["ranking"], FEATURES)

    @cached_property
    def _confidence(self) -> Coefficients:
        return _linear(self._coefficients["confidence"], EVIDENCE)

    @property
    def operating_point(self) -> OperatingPoint:
        return OperatingPoint(**self._coefficients["operating_point"])

    def load(self) -> None:
        """Read the coefficients. Raises ModelError when they belong to other features."""
        _ = self.ranking, self._confidence

    def read(self, retrieved: Retrieved) -> Reading:
        found = candidates_of(retrieved)
        if not found:
            return Reading((), 0.0)
        rows = feature_matrix(retrieved, found)
        scores = self.ranking(rows)
        order = sorted(range(len(found)), key=lambda at: (-scores[at], at))
        evidence = evidence_row(retrieved.query, [each.passage for each in found], rows, scores)
        confidence = float(sigmoid(self._confidence(evidence[None, :]))[0])
        relative = np.exp(scores - scores[order[0]])  # 1 for the best
        wanted = expectation(retrieved.query.text)
        spans = (_span(retrieved.query, wanted, found[at], confidence * float(relative[at])) for at in order)
        return Reading(tuple(spans), confidence)


def evidence_row(query: Query, passages: Sequence[int], rows: FloatArray, scores: FloatArray) -> FloatArray:
    """(len(EVIDENCE),) float32: how well the best candidate answers, by itself and beside the others.

    `passages` holds the passage id of each candidate, `rows` its features, `scores` its rank score.
    """
    best = int(np.argmax(scores))
    top = dict(zip(FEATURES, map(float, rows[best]), strict=True))
    elsewhere = [score for score, at in zip(scores, passages, strict=True) if at != passages[best]]
    values = {
        **top,
        "score": float(scores[best]),
        "probability": float(softmax(scores)[best]),
        "margin": float(scores[best] - max(elsewhere, default=scores[best])),
        "expectation_met": max(value for name, value in top.items() if name.startswith("expects_")),
        "expectation_missed": max(value for name, value in top.items() if name.startswith("lacks_")),
        "nearest_sentence": float(rows[:, FEATURES.index("sentence_similarity")].max()),
        "nearest_passage": float(rows[:, FEATURES.index("passage_similarity")].max()),
        "unknown_share": query.unknown_share,
        "log_question_terms": float(np.log1p(len(query.terms))),
        "mean_idf": sum(query.idf.values()) / max(1, len(query.idf)),
    }
    return np.asarray([values[name] for name in EVIDENCE], dtype=np.float32)


def _span(query: Query, wanted: Expectation, candidate: Candidate, score: float) -> Span:
    start, end = candidate.span
    return Span(candidate.hit, start, end, score, _focus(query, wanted, candidate))


def _focus(query: Query, wanted: Expectation, candidate: Candidate) -> tuple[int, int] | None:
    """The first thing of the kind that the question wants and does not itself say.

    How and what-is questions have none: what answers them is the sentence.
    """
    if wanted not in FOCUSED:
        return None
    start, _ = candidate.span
    found = news(wanted, candidate.text, query)
    return (start + found[0][0], start + found[0][1]) if found else None


def _linear(content: dict[str, Any], names: Sequence[str]) -> Coefficients:
    if content["features"] != list(names):
        raise ModelError(
            "linear.json was fitted for other features; run: python -m rag.reader.fit DATA_FOLDER"
        )
    mean, scale, weights = (
        np.asarray(content[key], dtype=np.float32) for key in ("mean", "scale", "weights")
    )
    return Coefficients(mean, scale, weights, float(content["bias"]))


def sigmoid(scores: FloatArray) -> FloatArray:
    """Log-odds to probabilities."""
    return np.asarray(1.0 / (1.0 + np.exp(-scores)), dtype=np.float32)


def softmax(scores: FloatArray) -> FloatArray:
    """Scores to probabilities that sum to one."""
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)
