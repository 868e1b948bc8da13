"""What retrieval knows about a sentence as a candidate answer, as numbers: one row a sentence.

Each feature is a plain fact (a similarity, a share of the question's words, a kind of block), so that a
small linear model over them can be read by a person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.analysis import terms
from index.document import Block
from index.embedding import FloatArray
from rag.discourse import leans
from rag.reader.expectation import KINDS, Expectation, expectation, mentions
from rag.retrieval import Hit, Query, Retrieved, bm25

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
"""What was known before the network read it, which is told the same."""

FEATURES = SAID + EVIDENCE
"""Columns of the feature matrix, in order."""

LOWEST_LOGIT = -12.0
"""Below this a sentence is as good as impossible; how far below says nothing."""

_NEEDS: tuple[Expectation, ...] = ("time", "number", "name")
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
    def passage(self) -> int:
        """Id of the passage that it stands in."""
        return self.hit.stored.id

    @property
    def text(self) -> str:
        start, end = self.span
        return self.hit.document.text[start:end]


def candidates_of(hits: Sequence[Hit]) -> list[Candidate]:
    """Every sentence of every hit, in order of the hits."""
    return [Candidate(hit, position) for hit in hits for position in range(len(hit.stored.passage.spans))]


def evidence_matrix(retrieved: Retrieved, candidates: Sequence[Candidate]) -> FloatArray:
    """(n_candidates, len(EVIDENCE)) float32. The candidates are sentences of some of the hits."""
    query = retrieved.query
    wanted = expectation(query.text)
    hits = {id(each.hit): each.hit for each in candidates}
    shared = {key: _passage_features(query, hit) for key, hit in hits.items()}
    rank = {id(hit): 1.0 / (1 + number) for number, hit in enumerate(retrieved.hits)}
    mean_sentence = _mean_sentence_length(retrieved)
    rows = [
        _row(query, wanted, each, shared[id(each.hit)], rank[id(each.hit)], mean_sentence)
        for each in candidates
    ]
    return np.asarray(rows, dtype=np.float32).reshape(len(rows), len(EVIDENCE))


def feature_matrix(logits: Sequence[FloatArray], evidence: FloatArray) -> FloatArray:
    """(n_candidates, len(FEATURES)) float32: what the network says, then the evidence.

    `logits` holds for each passage those of its sentences, (n_sentences,).
    """
    every = np.concatenate(logits)
    best = every.max()
    passages = [np.full(len(each), np.logaddexp.reduce(each)) for each in logits]
    said = (
        np.maximum(every, LOWEST_LOGIT),
        np.maximum(every - best, LOWEST_LOGIT),
        every >= best,
        np.maximum(np.concatenate(passages), LOWEST_LOGIT),
    )
    return np.column_stack([*said, evidence]).astype(np.float32)


def coverage(idf: Mapping[str, float], found: Sequence[str]) -> float:
    """The share of the question's terms that are found, weighted by how rare each is; 0 to 1."""
    total = sum(idf.values())
    present = set(found)
    return sum(weight for term, weight in idf.items() if term in present) / total if total else 0.0


def _rarest_missing(idf: Mapping[str, float], found: Sequence[str]) -> float:
    """How rare the rarest missing term is beside the question's rarest; 0 (none is missing) to 1."""
    present = set(found)
    missing = max((weight for term, weight in idf.items() if term not in present), default=0.0)
    return missing / max(idf.values(), default=1.0)


def _names(question: str) -> list[str]:
    """The terms of the capitalised words that begin no sentence."""
    return [term for word in _NAME.findall(question) if word[0].isupper() for term in terms(word)]


def _share_missing(wanted: Sequence[str], found: Sequence[str]) -> float:
    present = set(found)
    return sum(term not in present for term in wanted) / max(1, len(wanted))


def _mean_sentence_length(retrieved: Retrieved) -> float:
    lengths = [len(sentence) for hit in retrieved.hits for sentence in hit.stored.sentence_terms]
    return max(1.0, sum(lengths) / max(1, len(lengths)))


def _passage_features(query: Query, hit: Hit) -> dict[str, float]:
    """What all sentences of a passage share."""
    answers = _context_block(hit, "question")
    question_match = _question_match(query, hit, answers) if answers else 0.0
    return {
        "passage_similarity": hit.similarity,
        "passage_bm25": hit.bm25,
        "passage_coverage": coverage(query.idf, hit.stored.terms),
        "prefix_coverage": coverage(query.idf, hit.stored.prefix_terms),
        "rarest_missing": _rarest_missing(query.idf, hit.stored.terms),
        "names_missing": _share_missing(_names(query.text), hit.stored.terms),
        "numbers_missing": _share_missing(
            [term for term in query.terms if term[0].isdigit()], hit.stored.terms
        ),
        "question_match": question_match,
    }


def _context_block(hit: Hit, kind: str) -> Block | None:
    """The block that the passage's first sentence belongs to by context, when it is of this kind."""
    first = hit.document.sentence_index(hit.stored.passage.start)
    context = hit.document.block_of(first).context
    block = None if context is None else hit.document.blocks[context]
    return block if block is not None and block.kind == kind else None


def _question_match(query: Query, hit: Hit, question: Block) -> float:
    """How far the source's own question is the one that was asked: shared terms over all terms, by rarity."""
    asked = set(query.terms)
    source = set(terms(hit.document.text[question.start : question.end]))
    shared = coverage(query.idf, list(source))
    extra = len([term for term in source - asked if len(term) > 3])
    return shared / (1 + 0.15 * extra)


def _row(
    query: Query,
    wanted: Expectation,
    each: Candidate,
    shared: Mapping[str, float],
    rank: float,
    mean_sentence: float,
) -> list[float]:
    text, hit = each.text, each.hit
    found = hit.stored.sentence_terms[each.position]
    similarity = float(hit.sentence_similarities[each.position])
    covered = coverage(query.idf, found)
    block = hit.document.block_of(hit.document.sentence_index(each.span[0]))
    has = bool(news(wanted, text, query))
    first = each.span[0] == block.start
    values = {
        **shared,
        "sentence_similarity": similarity,
        "neighbour_similarity": _neighbour_similarity(each),
        "sentence_bm25": bm25(query.idf, found, mean_sentence),
        "sentence_coverage": covered,
        "answers_matching_question": shared["question_match"] if first and block.kind == "answer" else 0.0,
        "similarity_times_coverage": max(similarity, 0.0) * covered,
        "rank": rank,
        **{f"expects_{need}": float(wanted == need and has) for need in KINDS},
        **{f"lacks_{need}": float(wanted == need and not has) for need in _NEEDS},
        "is_question": float(text.rstrip("”\"’')").endswith("?")),
        "is_metadata": float(block.kind == "metadata"),
        "is_list_item": float(block.kind == "list_item"),
        "is_answer": float(block.kind == "answer"),
        "is_code": float(block.kind == "code"),
        "leans": float(leans(text)),
        "log_length": float(np.log1p(len(found))),
        "is_short": float(len(found) < _SHORT),
        "first_in_block": float(first),
        "repeats_question": float(covered > 0.99 and len(found) <= len(query.terms) + 3),
    }
    return [values[name] for name in EVIDENCE]


def news(wanted: Expectation, sentence: str, query: Query) -> list[tuple[int, int]]:
    """Where the sentence has what is wanted and the question did not say it itself; offsets into it."""
    return [
        (start, end)
        for start, end in mentions(wanted, sentence)
        if not set(terms(sentence[start:end])) <= set(query.terms)
    ]


def _neighbour_similarity(each: Candidate) -> float:
    similarities = each.hit.sentence_similarities
    near = [similarities[at] for at in (each.position - 1, each.position + 1) if 0 <= at < len(similarities)]
    return float(max(near)) if near else float(each.hit.similarity)
