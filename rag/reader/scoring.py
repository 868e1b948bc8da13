"""The trained network on ONNX Runtime: question and hits → a logit for every sentence, and its focus."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from index.embedding import FloatArray, bundled_folder
from index.errors import ModelError, WeightsDamagedError
from index.threads import thread_count
from rag.reader.encoding import MAX_TOKENS, Batch, Encoded, Encoder, ToRead, batch_of
from rag.retrieval import Hit

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Span = tuple[int, int]

MAX_FOCUS_TOKENS = 40

_FOCUS_RANGES = np.triu(np.tri(MAX_TOKENS, k=MAX_FOCUS_TOKENS - 1, dtype=bool))
"""Which ends (columns) a focus may have for each start (rows)."""

Output = tuple[FloatArray, FloatArray, Encoded]
"""Sentence logits (n_sentences,), focus logits (n_tokens, 2), and the tokens that they belong to."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the network says about one hit."""

    hit: Hit
    logits: FloatArray  # (n_sentences,), log-odds against "nothing here answers"
    focus_logits: FloatArray  # (n_tokens, 2), start and end
    encoded: Encoded

    def focus(self, position: int) -> tuple[Span, float] | None:
        """The likeliest part of a sentence to answer: offsets in the document, and its probability."""
        first, last = self.encoded.sentences[position]
        if last <= first:
            return None
        start, end = (_log_softmax(self.focus_logits[first:last, side]) for side in (0, 1))
        length = last - first
        joint = np.where(_FOCUS_RANGES[:length, :length], start[:, None] + end[None, :], -np.inf)
        at = int(np.argmax(joint))
        begin, stop = divmod(at, length)
        passage = self.hit.stored.passage
        shift = passage.start - len(passage.prefix) - 1
        offsets = self.encoded.offsets
        span = (int(offsets[first + begin, 0]) + shift, int(offsets[first + stop, 1]) + shift)
        return span, float(np.exp(joint.flat[at]))


class SentenceScorer:
    """The network in `file`, whose SHA-256 is pinned; loaded when it is first needed.

    Every passage is read by itself, `threads` at a time: nothing is padded, no thread waits for another
    within an operator, and what is said of a passage does not depend on its company.
    """

    def __init__(self, file: Path, sha256: str, threads: int = 0) -> None:
        self._file = file
        self.sha256 = sha256
        self._threads = thread_count(threads)
        self._lock = threading.Lock()
        self._session: InferenceSession | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._encoder = Encoder(bundled_folder() / "tokenizer.json")

    def load(self) -> None:
        """Check and load the weights. Raises ModelError, and WeightsDamagedError for other bytes."""
        with self._lock:
            if self._session is None:
                self._encoder.load()
                self._session = _session(_checked(self._file, self.sha256))
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="reader")

    def read(self, question: str, hits: Sequence[Hit], evidence: FloatArray) -> list[Scored]:
        """Read the question beside these hits. Raises ModelError.

        `evidence` is that of the hits' sentences, in order: (n_candidates, n_evidence).
        """
        found = self.run(question, passages_of(hits, evidence))
        return [Scored(hit, *each) for hit, each in zip(hits, found, strict=True)]

    def run(self, question: str, passages: Sequence[ToRead]) -> list[Output]:
        """The question beside each passage. Raises ModelError."""
        if not passages:
            return []
        self.load()
        encoded = self._encoder.encode(question, passages)
        found = self.run_tensors([batch_of([each]) for each in encoded])
        return [(logits[0], focus[0], each) for (logits, focus), each in zip(found, encoded, strict=True)]

    def run_tensors(self, batches: Sequence[Batch]) -> list[tuple[FloatArray, FloatArray]]:
        """The network alone: of each batch the sentence logits (n, n_sentences) and focus logits
        (n, n_tokens, 2). Raises ModelError.
        """
        self.load()
        assert self._pool is not None
        longest_first = sorted(range(len(batches)), key=lambda at: -batches[at].ids.size)
        pending = {at: self._pool.submit(self._run, batches[at]) for at in longest_first}
        return [pending[at].result() for at in range(len(batches))]

    def _run(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        assert self._session is not None
        logits, focus = self._session.run(None, batch._asdict())
        return logits, focus

    def tensors(self, question: str, passages: Sequence[ToRead]) -> list[Batch]:
        """What the network gets: every passage by itself."""
        return [batch_of([each]) for each in self._encoder.encode(question, passages)]


def log_odds(logits: Sequence[FloatArray]) -> float:
    """Of "some sentence answers" against "none does", as the network was trained to say it."""
    return float(np.logaddexp.reduce(np.concatenate(logits)))


def passages_of(hits: Sequence[Hit], evidence: FloatArray) -> list[ToRead]:
    """The hits as the network gets them; `evidence` has a row for each of their sentences, in order."""
    ends = np.cumsum([len(hit.stored.passage.spans) for hit in hits])
    return [
        ToRead(hit.stored.passage.embedded_text(hit.document), hit.stored.passage.embedded_spans(), rows)
        for hit, rows in zip(hits, np.split(evidence, ends), strict=False)
    ]


def checksum(content: bytes) -> str:
    """What identifies the weights."""
    return hashlib.sha256(content).hexdigest()


def _checked(file: Path, sha256: str) -> bytes:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read the reader's weights {file}: {error.strerror}; reinstall Quoth"
        ) from error
    found = checksum(content)
    if found != sha256:
        raise WeightsDamagedError(
            f"the reader's weights {file} are damaged (SHA-256 {found[:12]}…, expected {sha256[:12]}…); "
            f"reinstall Quoth"
        )
    return content


def _session(content: bytes) -> InferenceSession:
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), dtype=np.float32)
