"""Question → hits: dense (FAISS) and lexical (BM25) candidates, fused into one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index import Document, Library
from index.analysis import topic_terms
from index.embedding import FloatArray
from index.store import StoredPassage

CANDIDATES = 30
"""Passages taken from each of the two searches, or as many as are wanted if that is more."""

HITS = 20
"""Passages kept; the reader looks at the first few of them."""

BM25_WEIGHT = 0.05
"""What one point of BM25 is worth beside cosine similarity (tuned: docs/quality.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A question as the index sees it, with how rare its words are where it is asked."""

    text: str
    vector: FloatArray  # (dimension,), unit norm
    terms: tuple[str, ...]  # distinct topic terms, in order
    idf: Mapping[str, float]  # inverse document frequency of each term over the passages searched, > 0
    unknown_share: float  # of the question's weight in idf, what no passage searched has; 0 to 1
    mean_length: float  # index terms in an average candidate passage


@dataclass(frozen=True, slots=True, eq=False)
class Hit:
    """A retrieved passage with what retrieval found out about it."""

    document: Document
    stored: StoredPassage
    similarity: float  # cosine of question and passage, -1 to 1
    bm25: float  # of question and passage, 0 and up
    score: float  # both fused; comparable within one question only
    sentence_similarities: FloatArray  # (n_sentences,), cosine of question and sentence


@dataclass(frozen=True, slots=True)
class Found:
    """A hit as plain values: `text` stands at `start:end` of the document."""

    document_id: str
    title: str  # the document's
    start: int
    end: int
    text: str
    section: tuple[str, ...]  # headings, outermost first
    place: str | None  # page or time in the source
    score: float  # comparable within one search only
    similarity: float  # cosine of question and passage, -1 to 1
    bm25: float  # 0 and up

    @classmethod
    def of(cls, hit: Hit) -> Found:
        """What a program or a person is told of a hit."""
        passage, document = hit.stored.passage, hit.document
        return cls(
            document.id,
            document.title,
            passage.start,
            passage.end,
            document.text[passage.start : passage.end],
            document.section_of(document.sentence_index(passage.start)).path,
            document.place_of(passage.start),
            hit.score,
            hit.similarity,
            hit.bm25,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """The hits, best first, and the query that found them."""

    query: Query
    hits: tuple[Hit, ...]


def retrieve(
    library: Library, question: str, documents: Sequence[str] | None = None, limit: int = HITS
) -> Retrieved:
    """The `limit` passages that may answer the question, best first, of these documents (None: of all).

    Raises DocumentNotFoundError, ModelMismatchError and ModelError.
    """
    vector = library.embedder.embed_question(question)
    terms = topic_terms(question)
    candidates = max(CANDIDATES, limit)
    with library.snapshot():
        nearest = library.nearest(vector, candidates, documents)
        matching = library.matching(terms, candidates, documents)
        stored = library.passages(list(dict.fromkeys(number for number, _ in [*nearest, *matching])))
        query = _query(library, question, vector, terms, documents, stored)
        sources = {
            document_id: library.document(document_id)
            for document_id in dict.fromkeys(each.passage.document_id for each in stored)
        }
    hits = (_hit(query, sources[each.passage.document_id], each) for each in stored)
    best = sorted(hits, key=lambda hit: (-hit.score, hit.stored.id))[:limit]
    return Retrieved(query, tuple(best))


def _query(
    library: Library,
    question: str,
    vector: FloatArray,
    terms: Sequence[str],
    documents: Sequence[str] | None,
    stored: Sequence[StoredPassage],
) -> Query:
    frequency = library.document_frequency(terms, documents)
    count = library.passage_count(documents)
    idf = {term: inverse_document_frequency(frequency[term], count) for term in terms}
    lengths = [len(passage.terms) for passage in stored]
    unknown = sum(idf[term] for term in terms if not frequency[term]) / (sum(idf.values()) or 1.0)
    return Query(question, vector, tuple(terms), idf, unknown, max(1.0, float(np.mean(lengths or [1]))))


def _hit(query: Query, document: Document, stored: StoredPassage) -> Hit:
    similarity = float(stored.vector @ query.vector)
    score = bm25(query.idf, stored.terms, query.mean_length)
    fused = similarity + BM25_WEIGHT * score
    return Hit(document, stored, similarity, score, fused, stored.sentence_vectors @ query.vector)


def inverse_document_frequency(frequency: int, count: int) -> float:
    """ln(1 + (N - n + 0.5) / (n + 0.5)), always positive (Lucene's form of Robertson and Spärck Jones)."""
    return float(np.log1p((max(count, frequency) - frequency + 0.5) / (frequency + 0.5)))


def bm25(
    idf: Mapping[str, float], text: Sequence[str], mean_length: float, k1: float = 1.2, b: float = 0.75
) -> float:
    """BM25 of a text's index terms for a query's (Robertson and Zaragoza 2009)."""
    norm = k1 * (1 - b + b * len(text) / mean_length)
    counts = {term: text.count(term) for term in idf}
    return sum(weight * n * (k1 + 1) / (n + norm) for term, weight in idf.items() if (n := counts[term]))
