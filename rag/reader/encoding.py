"""Question and passage → tensors for the reader's network, the same in training and in answering.

A token's type tells the network where it stands and whether its word occurs on the other side as well (the
"exact match" feature of Chen et al. 2017, arXiv:1704.00051): a small model finds that hard to see by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from index.analysis import term_spans, topic_terms
from index.embedding import FloatArray

T = TypeVar("T")
Span = tuple[int, int]
IntArray = NDArray[np.int64]

MAX_QUESTION_TOKENS = 64
"""Of a longer question the first and the last half of so many are read: either end may hold what is asked."""

MAX_TOKENS = 322
"""Of question and passage together: no passage of the bundled model's window (256) is cut off."""

QUESTION, PASSAGE, QUESTION_MATCH, PASSAGE_MATCH = range(4)
TOKEN_TYPES = 4


class ToRead(NamedTuple):
    """A passage as the network gets it."""

    text: str  # prefix included
    spans: Sequence[Span]  # the sentences, as offsets into the text
    evidence: FloatArray  # (n_sentences, n_evidence): what retrieval knows of each


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """One question with one passage."""

    ids: IntArray  # (n_tokens,)
    types: IntArray  # (n_tokens,), 0 to 3
    offsets: IntArray  # (n_tokens, 2) into the passage's text; 0, 0 for all that is not passage
    sentences: tuple[Span, ...]  # token range of each sentence; empty when it lies beyond the window
    evidence: FloatArray  # (n_sentences, n_evidence)

    def tokens_of(self, start: int, end: int) -> Span:
        """The range of tokens that overlap `start:end` of the passage's text."""
        return _overlapping(self.offsets, start, end)


class Encoder:
    """The body's own tokenizer, read from its `tokenizer.json`."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(self._file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
        return tokenizer

    def load(self) -> None:
        """Read the vocabulary if it is not read yet."""
        _ = self._tokenizer

    def token(self, number: int) -> str:
        """A token as text."""
        return str(self._tokenizer.id_to_token(number))

    def encode(self, question: str, passages: Sequence[ToRead]) -> list[Encoded]:
        """The question with each passage."""
        first, *others = self._tokenizer.encode_batch(
            [question, *(passage.text for passage in passages)], add_special_tokens=False
        )
        start, end = map(self._tokenizer.token_to_id, ("[CLS]", "[SEP]"))
        head = [start, *_ends(first.ids), end]
        room = MAX_TOKENS - len(head) - 1
        asked = frozenset(topic_terms(question))
        asked_by_token = _ends(_owners(first.offsets, _matching(question, asked)))
        found = []
        for encoding, (text, spans, evidence) in zip(others, passages, strict=True):
            places = encoding.offsets[:room]
            offsets = np.asarray([*[(0, 0)] * len(head), *places, (0, 0)], dtype=np.int64)
            matches = _matching(text, asked)
            present = frozenset(term for _, _, term in matches)
            mine = [QUESTION_MATCH if term in present else QUESTION for term in asked_by_token]
            theirs = [PASSAGE if owner is None else PASSAGE_MATCH for owner in _owners(places, matches)]
            found.append(
                Encoded(
                    np.asarray([*head, *encoding.ids[:room], end], dtype=np.int64),
                    np.asarray([QUESTION, *mine, QUESTION, *theirs, PASSAGE], dtype=np.int64),
                    offsets,
                    tuple(_overlapping(offsets, *span) for span in spans),
                    evidence,
                )
            )
        return found


class Batch(NamedTuple):
    """Several of them, padded to one length: the network's inputs, by name and in order."""

    ids: IntArray  # (n, n_tokens)
    types: IntArray  # (n, n_tokens)
    mask: IntArray  # (n, n_tokens), 1 where there is a token
    sentences: FloatArray  # (n, n_sentences, n_tokens), 1 where a sentence has a token
    evidence: FloatArray  # (n, n_sentences, n_evidence)


def batch_of(encoded: Sequence[Encoded]) -> Batch:
    """Pad with zeros on the right. A sentence that does not exist, or was cut off, has no tokens."""
    n, n_tokens = len(encoded), max(len(each.ids) for each in encoded)
    n_sentences = max(len(each.sentences) for each in encoded)
    ids, types, mask = (np.zeros((n, n_tokens), dtype=np.int64) for _ in range(3))
    sentences = np.zeros((n, n_sentences, n_tokens), dtype=np.float32)
    evidence = np.zeros((n, n_sentences, encoded[0].evidence.shape[1]), dtype=np.float32)
    for row, each in enumerate(encoded):
        ids[row, : len(each.ids)] = each.ids
        types[row, : len(each.ids)] = each.types
        mask[row, : len(each.ids)] = 1
        for number, (start, end) in enumerate(each.sentences):
            sentences[row, number, start:end] = 1.0
        evidence[row, : len(each.sentences)] = each.evidence
    return Batch(ids, types, mask, sentences, evidence)


def _matching(text: str, asked: frozenset[str]) -> list[tuple[int, int, str]]:
    """Where the text has a word whose index term is among these, in order."""
    return [placed for placed in _placed_terms(text) if placed[2] in asked]


@lru_cache(maxsize=2_048)
def _placed_terms(text: str) -> tuple[tuple[int, int, str], ...]:
    """The terms of a text, kept: a passage is read for many questions."""
    return tuple(term_spans(text))


def _ends(tokens: Sequence[T]) -> list[T]:
    """All of them, or the first and last half of what is read."""
    if len(tokens) <= MAX_QUESTION_TOKENS:
        return list(tokens)
    half = MAX_QUESTION_TOKENS // 2
    return [*tokens[:half], *tokens[-half:]]


def _owners(offsets: Sequence[Span], matches: Iterable[tuple[int, int, str]]) -> list[str | None]:
    """For each token the term of the match that it lies in."""
    owners: list[str | None] = []
    left = list(matches)
    at = 0
    for start, end in offsets:
        while at < len(left) and left[at][1] <= start:
            at += 1
        inside = at < len(left) and left[at][0] < end
        owners.append(left[at][2] if inside else None)
    return owners


def _overlapping(offsets: IntArray, start: int, end: int) -> Span:
    """The range of tokens that overlap `start:end`; (0, 0) when none does."""
    inside = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start))
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)
