"""What speaks for and against the best sentence, as a person would weigh it: one row a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from index.embedding import FloatArray
from rag.reader.features import FEATURES, LOWEST_LOGIT
from rag.reader.linear import softmax
from rag.retrieval import Query

EVIDENCE = (
    "log_odds",
    "highest_logit",
    "logit",
    "logit_margin",
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
"""Columns, in order."""


def evidence_row(
    query: Query,
    passages: Sequence[int],
    rows: FloatArray,
    scores: FloatArray,
    logits: Mapping[int, FloatArray],
) -> FloatArray:
    """(len(EVIDENCE),) float32: how well the best candidate answers, by itself and beside the others.

    `passages` holds the passage id of each candidate, `rows` its features, `scores` its rank score;
    `logits` what the network said, by passage id.
    """
    best = int(np.argmax(scores))
    top = dict(zip(FEATURES, map(float, rows[best]), strict=True))
    elsewhere = [score for score, at in zip(scores, passages, strict=True) if at != passages[best]]
    read = np.sort(np.concatenate([*logits.values(), np.full(2, LOWEST_LOGIT, dtype=np.float32)]))
    values = {
        **top,
        "log_odds": float(np.logaddexp.reduce(read)),
        "highest_logit": float(read[-1]),
        "logit_margin": float(read[-1] - read[-2]),
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
