"""The two small models around the network: a linear ranking, and the calibration of its log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from index.embedding import FloatArray
from index.errors import ModelError


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

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain values, rounded to six decimals; `names` are those of the features."""
        return {
            "features": list(names),
            "mean": _rounded(self.mean),
            "scale": _rounded(self.scale),
            "weights": _rounded(self.weights),
            "bias": round(self.bias, 6),
        }


@dataclass(frozen=True, slots=True)
class Platt:
    """Log-odds to a calibrated probability (Platt 1999), and what it is worth that the source itself asks and
    answers the question: sigmoid(slope * log_odds + match * question_match + intercept)."""

    slope: float
    match: float
    intercept: float

    def __call__(self, log_odds: float, question_match: float) -> float:
        """`question_match`, 0 to 1, is that feature of the best sentence."""
        score = self.slope * log_odds + self.match * question_match + self.intercept
        return float(1.0 / (1.0 + np.exp(-score)))


def coefficients_of(content: dict[str, Any], names: Sequence[str]) -> Coefficients:
    """What `to_json` of these features wrote. Raises ModelError when it was fitted for others."""
    if content["features"] != list(names):
        raise ModelError(
            "reader.json was fitted for other features; run: python -m rag.reader.train DATA_FOLDER"
        )
    mean, scale, weights = (
        np.asarray(content[key], dtype=np.float32) for key in ("mean", "scale", "weights")
    )
    return Coefficients(mean, scale, weights, float(content["bias"]))


def _rounded(values: FloatArray) -> list[float]:
    return [round(float(value), 6) for value in values]
