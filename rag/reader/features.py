"""What retrieval knows about a sentence as a candidate answer, as numbers: one row a sentence.

Each is a plain fact: a similarity, a share of the question's words, a kind of block.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import numpy as np

from index.analysis import terms
from index.document import Block
from index.embedding import FloatArray
from rag.discourse import leans
from rag.reader.expectation import KINDS, Expectation, expectation, mentions
from rag.retrieval import BM25_WEIGHT, Hit, Query, Retrieved, bm25

T = TypeVar("T")

SAID = ("logit", "logit_behind_best", "best_logit", "passage_log_odds")
"""What the network says about a sentence."""

EVIDENCE = (
    "sentence_similarity",
    "passage_similarity",
    "neighbour_similarity",
    "sentence_bm25",
    "passage_bm25",
    "sentence_coverage",
    "passage_coverage",
    "prefix_coverage",
    "rarest_missing",
    "names_missing",
    "numbers_missing",
    "question_match",
    "answers_matching_question",
    "similarity_times_coverage",
    "rank",
    "expects_time",
    "expects_number",
    "expects_name",
    "expects_reason",
    "expects_manner",
    "expects_definition",
    "lacks_time",
    "lacks_number",
    "lacks_name",
    "is_question",
    "is_metadata",
    "is_list_item",
    "is_answer",
    "is_code",
    "leans",
    "log_length",
    "is_short",
    "first_in_block",
    "repeats_question",
)
"""What is known of a sentence before it is read; the network is told the same."""

FEATURES = SAID + EVIDENCE
"""Columns of the feature matrix, in order."""

READ_HITS = 8
"""Passages that are read for one question, at most."""

READ_CHARS = 5_200
"""Characters that are read for one question, at most: what keeps the longest passages within their time."""

FAR = 0.55
"""A passage that is less close than the closest by more than this is not read (docs/quality.md)."""

LOWEST_LOGIT = -12.0
"""Below this a sentence is as good as impossible; how far below says nothing."""

_EXPECTS: dict[str, Expectation] = {f"expects_{need}": need for need in KINDS}
_LACKS: dict[str, Expectation] = {"lacks_time": "time", "lacks_number": "number", "lacks_name": "name"}
_SHORT = 4  # words
_NAME = re.compile(r"(?<=[^\s.!?:] )(?!I\b)[^\W\d_][\w’'-]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a hit: `hit.stored.passage.spans[position]`."""

    hit: Hit
    position: int

    @property
    def span(self) -> tuple[int, int]:
        return self.hit.stored.passage.spans[self.position]

    @property
    def text(self) -> str:
        start, end = self.span
        return self.hit.document.text[start:end]


def candidates_of(hits: Sequence[Hit]) -> list[Candidate]:
    """Every sentence of every hit, in order of the hits."""
    return [Candidate(hit, position) for hit in hits for position in range(len(hit.stored.passage.spans))]


def closeness(similarity: float, bm25: float, sentence_similarities: FloatArray) -> float:
    """What decides whether a passage is read: how near it is as a whole, and its nearest sentence.

    Where both and not the fused score of retrieval decide, the right passage is among those read more often
    (docs/quality.md).
    """
    return similarity + BM25_WEIGHT * bm25 + float(sentence_similarities.max())


def worth_reading(
    passages: Iterable[T], closeness: Callable[[T], float], length: Callable[[T], int]
) -> list[T]:
    """The closest passages, best first: as many as are read for one question."""
    best_first = sorted(((closeness(each), each) for each in passages), key=lambda pair: -pair[0])
    near = [each for close, each in best_first[:READ_HITS] if close >= best_first[0][0] - FAR]
    read = list(accumulate(map(length, near)))
    return near[: max(1, bisect_right(read, READ_CHARS))]


def hits_to_read(retrieved: Retrieved) -> list[Hit]:
    """The hits that the reader reads, closest first."""
    return worth_reading(
        retrieved.hits,
        lambda hit: closeness(hit.similarity, hit.bm25, hit.sentence_similarities),
        lambda hit: len(hit.stored.passage.embedded_text(hit.document)),
    )


def evidence_matrix(retrieved: Retrieved, candidates: Sequence[Candidate]) -> FloatArray:
    """(n_candidates, len(EVIDENCE)) float32. The candidates are sentences of some of the hits."""
    sought = _sought(retrieved)
    ranks = {hit: 1.0 / (1 + number) for number, hit in enumerate(retrieved.hits)}
    of_passages = {hit: _passage_features(sought, hit) for hit in {each.hit for each in candidates}}
    rows = [_row(sought, each, of_passages[each.hit], ranks[each.hit]) for each in candidates]
    return np.asarray(rows, dtype=np.float32).reshape(len(rows), len(EVIDENCE))


def feature_matrix(logits: Sequence[FloatArray], evidence: FloatArray) -> FloatArray:
    """(n_candidates, len(FEATURES)) float32: what the network says, then the evidence.

    `logits` holds for each passage those of its sentences, (n_sentences,).
    """
    every = np.concatenate(logits)
    best = every.max()
    passages = [np.full_like(each, np.logaddexp.reduce(each)) for each in logits]
    said = (
        np.maximum(every, LOWEST_LOGIT),
        np.maximum(every - best, LOWEST_LOGIT),
        (every >= best).astype(np.float32),
        np.maximum(np.concatenate(passages), LOWEST_LOGIT),
    )
    return np.column_stack([*said, evidence])


@dataclass(frozen=True, slots=True)
class _Sought:
    """A question as evidence is looked for."""

    query: Query
    terms: frozenset[str]
    names: tuple[str, ...]  # terms of the capitalised words that begin no sentence
    numbers: tuple[str, ...]
    wanted: Expectation
    rarest: float  # the highest inverse document frequency of its terms
    mean_sentence: float  # index terms in an average sentence of the hits


def _sought(retrieved: Retrieved) -> _Sought:
    query = retrieved.query
    lengths = [len(sentence) for hit in retrieved.hits for sentence in hit.stored.sentence_terms]
    names = (word for word in _NAME.findall(query.text) if word[0].isupper())
    return _Sought(
        query,
        frozenset(query.terms),
        tuple(term for word in names for term in terms(word)),
        tuple(term for term in query.terms if term[0].isdigit()),
        expectation(query.text),
        max(query.idf.values(), default=1.0),
        max(1.0, sum(lengths) / max(1, len(lengths))),
    )


def coverage(idf: Mapping[str, float], found: Container[str]) -> float:
    """The share of the question's terms that are found, weighted by how rare each is; 0 to 1."""
    total = sum(idf.values())
    return sum(weight for term, weight in idf.items() if term in found) / total if total else 0.0


def _share_missing(wanted: Sequence[str], found: Container[str]) -> float:
    return sum(term not in found for term in wanted) / max(1, len(wanted))


def _passage_features(sought: _Sought, hit: Hit) -> dict[str, float]:
    """What all sentences of a passage share."""
    idf, found = sought.query.idf, frozenset(hit.stored.terms)
    question = _context_block(hit, "question")
    return {
        "passage_similarity": hit.similarity,
        "passage_bm25": hit.bm25,
        "passage_coverage": coverage(idf, found),
        "prefix_coverage": coverage(idf, hit.stored.prefix_terms),
        "rarest_missing": max((idf[term] for term in idf if term not in found), default=0.0) / sought.rarest,
        "names_missing": _share_missing(sought.names, found),
        "numbers_missing": _share_missing(sought.numbers, found),
        "question_match": 0.0 if question is None else _question_match(sought, hit, question),
    }


def _context_block(hit: Hit, kind: str) -> Block | None:
    """The block that the passage's first sentence belongs to by context, when it is of this kind."""
    first = hit.document.sentence_index(hit.stored.passage.start)
    context = hit.document.block_of(first).context
    block = None if context is None else hit.document.blocks[context]
    return block if block is not None and block.kind == kind else None


def _question_match(sought: _Sought, hit: Hit, question: Block) -> float:
    """How far the source's own question is the one that was asked: shared terms over all terms, by rarity."""
    source = set(terms(hit.document.text[question.start : question.end]))
    extra = len([term for term in source - sought.terms if len(term) > 3])
    return coverage(sought.query.idf, source) / (1 + 0.15 * extra)


def _row(sought: _Sought, each: Candidate, of_passage: Mapping[str, float], rank: float) -> list[float]:
    text, hit = each.text, each.hit
    found = hit.stored.sentence_terms[each.position]
    similarity = float(hit.sentence_similarities[each.position])
    covered = coverage(sought.query.idf, found)
    block = hit.document.block_of(hit.document.sentence_index(each.span[0]))
    wanted, has = sought.wanted, _has_news(sought, text)
    first = each.span[0] == block.start
    values = {
        **of_passage,
        "sentence_similarity": similarity,
        "neighbour_similarity": _neighbour_similarity(each),
        "sentence_bm25": bm25(sought.query.idf, found, sought.mean_sentence),
        "sentence_coverage": covered,
        "answers_matching_question": of_passage["question_match"] * (first and block.kind == "answer"),
        "similarity_times_coverage": max(similarity, 0.0) * covered,
        "rank": rank,
        **{name: float(wanted == need and has) for name, need in _EXPECTS.items()},
        **{name: float(wanted == need and not has) for name, need in _LACKS.items()},
        "is_question": float(text.rstrip("”\"’')").endswith("?")),
        "is_metadata": float(block.kind == "metadata"),
        "is_list_item": float(block.kind == "list_item"),
        "is_answer": float(block.kind == "answer"),
        "is_code": float(block.kind == "code"),
        "leans": float(leans(text)),
        "log_length": float(np.log1p(len(found))),
        "is_short": float(len(found) < _SHORT),
        "first_in_block": float(first),
        "repeats_question": float(covered > 0.99 and len(found) <= len(sought.terms) + 3),
    }
    return [values[name] for name in EVIDENCE]


def _has_news(sought: _Sought, sentence: str) -> bool:
    """Whether the sentence has what is wanted and the question did not say it itself."""
    return any(
        not sought.terms.issuperset(terms(sentence[start:end]))
        for start, end in mentions(sought.wanted, sentence)
    )


def _neighbour_similarity(each: Candidate) -> float:
    similarities = each.hit.sentence_similarities
    near = [similarities[at] for at in (each.position - 1, each.position + 1) if 0 <= at < len(similarities)]
    return float(max(near)) if near else float(each.hit.similarity)
