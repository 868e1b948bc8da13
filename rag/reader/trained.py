"""The shipped reader: a small trained network reads the best passages beside the question.

The network gives every sentence a logit, from the text and from what retrieval knows. A conditional logit
model (McFadden 1974; "listwise softmax" in learning to rank, Cao et al. 2007) orders the sentences by it and
by the same evidence; whether anything answers is the network's own log-odds, calibrated. Weights and
coefficients are in `model/` beside this file; `python -m rag.reader.train` makes them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from index.analysis import STOP_WORDS, words
from index.errors import ModelError
from rag.answer import Quote
from rag.reader import OperatingPoint, Reading, Span
from rag.reader.features import (
    FEATURES,
    Candidate,
    candidates_of,
    evidence_matrix,
    feature_matrix,
    hits_to_read,
)
from rag.reader.linear import Coefficients, Platt, coefficients_of
from rag.reader.scoring import Scored, SentenceScorer, log_odds
from rag.retrieval import Hit, Query, Retrieved

MODEL_FOLDER = Path(__file__).with_name("model")
WEIGHTS = "reader.onnx"
CALIBRATION = "reader.json"

HELD_BACK = 2.0
"""Off the logit of a sentence that was quoted just before: a follow-up asks for something else."""

FOCUS_PROBABILITY = 0.2
"""A focus that the network holds less likely than this is not shown."""

SAME_QUESTION = 0.7
"""Where the source asks a question that matches this far, its answer comes first: right for 42 of 42 such
questions to held-out documents."""

FOCUS_SHARE = 0.8
"""A focus that is nearly the whole sentence sets nothing off."""


class _Loaded(NamedTuple):
    """What `reader.json` holds, and the network whose bytes it pins."""

    scorer: SentenceScorer
    ranking: Coefficients
    confidence: Platt
    operating_point: OperatingPoint


class TrainedReader:
    """Reads the best hits of a question with the network of `folder`. Safe to share between threads."""

    def __init__(self, folder: Path = MODEL_FOLDER, *, threads: int = 0) -> None:
        self._folder = folder
        self._threads = threads
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def _parts(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = self._read_calibration()
            return self._loaded

    def _read_calibration(self) -> _Loaded:
        file = self._folder / CALIBRATION
        try:
            content: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return _Loaded(
                SentenceScorer(self._folder / WEIGHTS, content["sha256"], self._threads),
                coefficients_of(content["ranking"], FEATURES),
                Platt(**content["confidence"]),
                OperatingPoint(**content["operating_point"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"cannot read the reader's calibration {file}; reinstall Quoth") from error

    @property
    def scorer(self) -> SentenceScorer:
        """The network itself."""
        return self._parts().scorer

    @property
    def fingerprint(self) -> str:
        return self.scorer.sha256

    @property
    def operating_point(self) -> OperatingPoint:
        return self._parts().operating_point

    def load(self) -> None:
        """Load the weights and the calibration. Raises ModelError."""
        self.scorer.load()

    def read(self, retrieved: Retrieved, quoted: Sequence[Quote] = (), another: bool = False) -> Reading:
        """Every sentence of the best hits, best first, and the chance that the best one answers; without
        those that were quoted where another is asked for."""
        scorer, ranking, platt, point = self._parts()
        hits = hits_to_read(retrieved)
        found = candidates_of(hits)
        if not found:
            return Reading((), 0.0)
        evidence = evidence_matrix(retrieved, found)
        scored = {each.hit: each for each in scorer.read(retrieved.query.text, hits, evidence)}
        said = [_said(each.hit, quoted) for each in scored.values()]
        less = np.float32(np.inf if another else HELD_BACK)
        logits = [
            np.where(before, each.logits - less, each.logits)
            for each, before in zip(scored.values(), said, strict=True)
        ]
        left = np.flatnonzero(np.isfinite(np.concatenate(logits)))
        if not len(left):
            return Reading((), 0.0)
        rows = feature_matrix(logits, evidence)
        scores = ranking(rows)
        same_question = rows[:, FEATURES.index("answers_matching_question")] >= SAME_QUESTION
        same_question &= ~np.concatenate(said)
        order = sorted(left.tolist(), key=lambda at: (not same_question[at], -scores[at], at))
        match = float(rows[order[0], FEATURES.index("question_match")])
        confidence = platt(log_odds(logits), match) if _is_question(retrieved.query) else 0.0
        if not _is_latin(retrieved.query.text):
            confidence = min(confidence, point.unsure)
        relative = np.exp(np.minimum(scores - scores[order[0]], 0.0))  # 1 for the best
        spans = (_span(found[at], scored[found[at].hit], confidence * float(relative[at])) for at in order)
        return Reading(tuple(spans), confidence)


def _said(hit: Hit, quoted: Sequence[Quote]) -> NDArray[np.bool_]:
    """(n_sentences,): which sentences of the hit were quoted."""
    mine = [quote for quote in quoted if quote.document_id == hit.document.id]
    spans = hit.stored.passage.spans
    return np.array([any(start < each.end and each.start < end for each in mine) for start, end in spans])


def _is_question(query: Query) -> bool:
    """False for letters of which no word is known, neither to the passages nor as a word that any question
    may hold: the network was never taught what to make of them."""
    asks = not STOP_WORDS.isdisjoint(words(query.text))
    return bool(query.terms) and (query.unknown_share < 1.0 or asks)


def _is_latin(text: str) -> bool:
    """False for a question in other letters: the network was taught English, and takes most of them for an
    answer to most of such questions."""
    found = words(text)
    return 2 * sum(word.isascii() for word in found) >= len(found)


def _span(candidate: Candidate, scored: Scored, score: float) -> Span:
    start, end = candidate.span
    return Span(candidate.hit, start, end, score, _focus(candidate, scored))


def _focus(candidate: Candidate, scored: Scored) -> tuple[int, int] | None:
    """The part of the sentence that answers most directly, if one stands out."""
    found = scored.focus(candidate.position)
    if found is None:
        return None
    (start, end), probability = found
    first, last = candidate.span
    short = end - start < FOCUS_SHARE * (last - first)
    inside = first <= start < end <= last
    return (start, end) if inside and short and probability >= FOCUS_PROBABILITY else None
