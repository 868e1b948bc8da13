"""Fits `linear.json`: python -m rag.reader.fit DATA_FOLDER

DATA_FOLDER holds `authored/train` and `squad_articles_train.json`. Deterministic; about eight minutes on two
cores, nearly all of it embedding the documents. Nothing named dev is read.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from index import Document, Library
from index.embedding import FloatArray
from rag.evaluation import Article, Span, gold_of, load_articles, overlap
from rag.reader.features import FEATURES, candidates_of, feature_matrix
from rag.reader.linear import EVIDENCE, Coefficients, evidence_row
from rag.retrieval import Query, retrieve

BoolArray = NDArray[np.bool_]

SOURCES = ("authored/train", "squad_articles_train.json")
RIDGE = 1e-3
MAX_QUESTIONS = 4_500
"""Of a source with more, every second, third, … is taken: the models have few weights."""

TOLERANCE = 0.01

UNSURE_SHARE = 0.1
"""Of the answerable training questions, the share whose confidence lies below the "unsure" threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One training question as retrieval sees it."""

    query: Query
    passages: list[int]  # (n_candidates,) ids
    rows: FloatArray  # (n_candidates, n_features)
    right: BoolArray  # (n_candidates,)
    answerable: bool
    weight: float


def examples_of(articles: Sequence[Article], weight: float) -> Iterator[Example]:
    """Questions of the articles, each asked of its own document; their weights sum to `weight`."""
    total = sum(len(article.questions) for article in articles)
    step = -(-total // MAX_QUESTIONS)
    with tempfile.TemporaryDirectory() as folder, Library.open(folder) as library:
        for article in track(articles, description="embedding and asking"):
            document = library.add(article.content, name=article.name)
            asked = [(each.text, gold_of(document, article, each).answers) for each in article.questions]
            for question, answers in [*asked[::step], *own_questions(document)]:
                yield _example(library, document, question, answers, weight * step / total)


def own_questions(document: Document) -> Iterator[tuple[str, tuple[Span, ...]]]:
    """The questions that the document asks itself, with the first sentence of its answer to each.

    They teach what a matching question in the source is worth.
    """
    for number, block in enumerate(document.blocks):
        answer = next((each for each in document.blocks if each.context == number), None)
        if block.kind == "question" and answer is not None:
            first = document.sentences[document.sentence_index(answer.start)]
            yield document.text[block.start : block.end], ((first.start, first.end),)


def _example(
    library: Library, document: Document, question: str, answers: Sequence[Span], weight: float
) -> Example:
    retrieved = retrieve(library, question, [document.id])
    found = candidates_of(retrieved)
    rows = feature_matrix(retrieved, found)
    right = [any(overlap(each.span, answer) for answer in answers) for each in found]
    return Example(
        retrieved.query,
        [each.passage for each in found],
        rows,
        np.array(right, dtype=bool),
        bool(answers),
        weight,
    )


def fit_ranking(examples: Sequence[Example]) -> Coefficients:
    """Conditional logit: the weights that make the right sentence most probable among its question's."""
    usable = [each for each in examples if each.right.any() and not each.right.all()]
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
    """The evidence of every question, with whether its best sentence was right."""

    rows: FloatArray  # (n_questions, n_evidence)
    right: BoolArray
    answerable: BoolArray
    weights: NDArray[np.float64]


def judge(examples: Sequence[Example], ranking: Coefficients) -> Judged:
    """Rank every example's sentences and look at the best."""
    rows, right = [], []
    for each in examples:
        scores = ranking(each.rows)
        rows.append(evidence_row(each.query, each.passages, each.rows, scores))
        right.append(bool(each.right[int(np.argmax(scores))]))
    return Judged(
        np.stack(rows),
        np.array(right),
        np.array([each.answerable for each in examples]),
        np.array([each.weight for each in examples]),
    )


def fit_confidence(judged: Judged) -> Coefficients:
    """Logistic regression of "the best sentence answers" (Platt 1999: a calibrated probability)."""
    mean, scale = judged.rows.mean(axis=0), np.maximum(judged.rows.std(axis=0), 1e-6)
    model = LogisticRegression(max_iter=1_000)
    model.fit((judged.rows - mean) / scale, judged.right, sample_weight=judged.weights * len(judged.rows))
    return Coefficients(mean, scale, model.coef_[0].astype(np.float32), float(model.intercept_[0]))


def fit_operating_point(judged: Judged, confidence: Coefficients) -> dict[str, float]:
    """The threshold with the best mean of "answered rightly" and "rightly abstained".

    The mean is flat around its best: the lowest threshold within TOLERANCE of it is taken, to answer most.
    """
    scores = 1 / (1 + np.exp(-confidence(judged.rows)))
    answerable, weights = judged.answerable, judged.weights

    def balanced(threshold: float) -> float:
        rightly = np.average((scores >= threshold) & judged.right, weights=weights * answerable)
        abstained = np.average(scores < threshold, weights=weights * ~answerable)
        return float(rightly + abstained) / 2

    balance = {round(0.01 * step, 2): balanced(0.01 * step) for step in range(5, 95)}
    answer = min(each for each in balance if balance[each] >= max(balance.values()) - TOLERANCE)
    return {"answer": answer, "unsure": round(float(np.quantile(scores[answerable], UNSURE_SHARE)), 2)}


def _content(coefficients: Coefficients, names: Sequence[str]) -> dict[str, Any]:
    return {
        "features": list(names),
        "mean": _rounded(coefficients.mean),
        "scale": _rounded(coefficients.scale),
        "weights": _rounded(coefficients.weights),
        "bias": round(coefficients.bias, 6),
    }


def _rounded(values: FloatArray) -> list[float]:
    return [round(float(value), 6) for value in values]


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(__file__).with_name("linear.json"),
    help="Where the coefficients are written.",
)
def main(data: Path, out: Path) -> None:
    """Fit the linear reader on DATA (a folder with authored/train and squad_articles_train.json)."""
    examples = [
        each for name in SOURCES for each in examples_of(load_articles(data / name), 1 / len(SOURCES))
    ]
    ranking = fit_ranking(examples)
    judged = judge(examples, ranking)
    confidence = fit_confidence(judged)
    content = {
        "ranking": _content(ranking, FEATURES),
        "confidence": _content(confidence, EVIDENCE),
        "operating_point": fit_operating_point(judged, confidence),
    }
    out.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    click.echo(
        f"{len(examples)} questions; best sentence right for {np.mean(judged.right[judged.answerable]):.3f}"
    )


if __name__ == "__main__":
    main()
