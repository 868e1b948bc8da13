"""Prints the table of docs/quality.md: what puts the right sentence first, on the dev data.

    python tests/compare.py DATA_FOLDER

DATA_FOLDER holds `authored/dev` and `squad2_articles_dev.json`. Sentences are ranked by each method among all
passages of their document; a question with no hit counts as missed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from index import Library, passages
from index.embedding import FloatArray, SentenceTransformerEmbedder
from rag.evaluation import Article, Gold, gold_of, load_articles, overlap
from rag.reader.features import EVIDENCE, Candidate, candidates_of, evidence_matrix
from rag.retrieval import BM25_WEIGHT, Hit, Retrieved, retrieve

DEV_SETS = ("authored/dev", "squad2_articles_dev.json")
TARGETS = (60, 120, 200)

Method = Callable[[Retrieved, FloatArray], FloatArray]


def feature(name: str) -> Method:
    return lambda _, rows: rows[:, EVIDENCE.index(name)]


def both(weight: float, passage_share: float) -> Method:
    """Similarity and BM25 of the sentence, and a share of the passage's."""

    def score(_: Retrieved, rows: FloatArray) -> FloatArray:
        column = dict(zip(EVIDENCE, rows.T, strict=True))
        sentence = column["sentence_similarity"] + weight * column["sentence_bm25"]
        passage = column["passage_similarity"] + weight * column["passage_bm25"]
        return np.asarray(sentence + passage_share * passage, dtype=np.float32)

    return score


def reciprocal_rank(_: Retrieved, rows: FloatArray) -> FloatArray:
    """Reciprocal rank fusion (Cormack et al. 2009) of the dense and the lexical order of sentences."""
    columns = (rows[:, EVIDENCE.index(name)] for name in ("sentence_similarity", "sentence_bm25"))
    ranks = (np.argsort(np.argsort(-column, kind="stable"), kind="stable") for column in columns)
    return np.asarray(sum(1.0 / (60 + 1 + rank) for rank in ranks), dtype=np.float32)


METHODS: dict[str, Method] = {
    "dense sentences": feature("sentence_similarity"),
    "BM25 sentences": feature("sentence_bm25"),
    "reciprocal rank fusion": reciprocal_rank,
    "similarity + 0.02 BM25": both(0.02, 0.0),
    "similarity + 0.05 BM25": both(BM25_WEIGHT, 0.0),
    "similarity + 0.10 BM25": both(0.10, 0.0),
    "similarity + 0.05 BM25, half the passage's": both(BM25_WEIGHT, 0.5),
}


def right(found: list[Candidate], gold: Gold) -> list[bool]:
    return [any(overlap(each.span, answer) for answer in gold.answers) for each in found]


ORDERS: dict[str, Callable[[Hit], float]] = {
    "passages by similarity": lambda hit: hit.similarity,
    "passages by BM25": lambda hit: hit.bm25,
    "passages by both (shipped)": lambda hit: hit.score,
}


def paragraph_at(hits: list[Hit], gold: Gold, k: int) -> bool:
    spans = [(hit.stored.passage.start, hit.stored.passage.end) for hit in hits[:k]]
    return any(overlap(span, paragraph) for span in spans for paragraph in gold.paragraphs)


def measure(articles: list[Article], embedder: SentenceTransformerEmbedder) -> dict[str, tuple[float, ...]]:
    """Of the answerable questions: with the right sentence first and among three, by each method; with the
    right paragraph among the first 1, 3 and 5 passages, by each order."""
    outcomes: dict[str, list[tuple[bool, ...]]] = {name: [] for name in [*METHODS, *ORDERS]}
    with tempfile.TemporaryDirectory() as folder, Library.open(folder, embedder=embedder) as library:
        for article in track(articles, description="asking"):
            document = library.add(article.content, name=article.name)
            for question in (each for each in article.questions if each.answers):
                gold = gold_of(document, article, question)
                retrieved = retrieve(library, question.text, [document.id])
                found = candidates_of(retrieved.hits)
                rows, marks = evidence_matrix(retrieved, found), np.array(right(found, gold))
                for name, method in METHODS.items():
                    order = np.argsort(-method(retrieved, rows), kind="stable")
                    outcomes[name].append((bool(marks[order[:1]].any()), bool(marks[order[:3]].any())))
                for name, order_by in ORDERS.items():
                    hits = sorted(retrieved.hits, key=order_by, reverse=True)
                    outcomes[name].append(tuple(paragraph_at(hits, gold, k) for k in (1, 3, 5)))
    return {name: tuple(np.mean(marks, axis=0).round(3)) for name, marks in outcomes.items()}


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(data: Path) -> None:
    embedder = SentenceTransformerEmbedder()
    for target in TARGETS:
        passages.TARGET_TOKENS = target
        table = Table("method", *DEV_SETS, title=f"passages of up to {target} tokens")
        columns = [measure(load_articles(data / name), embedder) for name in DEV_SETS]
        for name in columns[0]:
            table.add_row(name, *(" ".join(f"{value:.3f}" for value in column[name]) for column in columns))
        Console().print(table)


if __name__ == "__main__":
    main()
