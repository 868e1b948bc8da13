from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from index import vectors
from index.vectors import StaleIndexError, VectorIndex

STAMP = {"generation": "7"}


def unit_vectors(count: int, dimension: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(count, dimension)).astype(np.float32)
    return np.arange(100, 100 + count, dtype=np.int64), matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def brute_force(ids: np.ndarray, matrix: np.ndarray, query: np.ndarray, k: int) -> list[int]:
    return [int(number) for number in ids[np.argsort(-(matrix @ query), kind="stable")][:k]]


def test_search_agrees_with_numpy() -> None:
    ids, matrix = unit_vectors(500)
    index = VectorIndex(ids, matrix)
    for query in unit_vectors(20, seed=1)[1]:
        found = index.search(query, 10)
        assert [number for number, _ in found] == brute_force(ids, matrix, query, 10)
        assert found[0][1] == pytest.approx(float((matrix @ query).max()), abs=1e-5)


def test_search_among_some_gives_as_many_as_asked() -> None:
    ids, matrix = unit_vectors(500)
    chosen = ids[::50]
    found = VectorIndex(ids, matrix).search(matrix[3], 8, among=chosen)
    assert [number for number, _ in found] == brute_force(chosen, matrix[::50], matrix[3], 8)


def test_search_of_nothing_is_empty() -> None:
    ids, matrix = unit_vectors(3)
    assert VectorIndex(ids[:0], matrix[:0]).search(matrix[0], 5) == []
    assert VectorIndex(ids, matrix).search(matrix[0], 5, among=ids[:0]) == []


def test_add_and_remove() -> None:
    ids, matrix = unit_vectors(30)
    index = VectorIndex(ids[:20], matrix[:20])
    index.add(ids[20:], matrix[20:])
    index.remove(ids[:5])
    assert len(index) == 25
    assert index.search(matrix[25], 1)[0][0] == ids[25]
    assert index.search(matrix[0], 1)[0][0] != ids[0]


def test_large_index_is_approximate_but_exact_among_a_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "EXACT_LIMIT", 1_000)
    ids, matrix = unit_vectors(3_000)
    index = VectorIndex(ids, matrix)
    assert index.accepts(10_000)  # lists grow; only the exact index has a limit
    chosen = ids[::7]
    for query in unit_vectors(10, seed=2)[1]:
        among = [number for number, _ in index.search(query, 5, among=chosen)]
        assert among == brute_force(chosen, matrix[::7], query, 5)
    nearest = [index.search(vector, 1)[0][0] for vector in matrix[:50]]
    assert nearest == ids[:50].tolist()  # a stored vector is in its own list


def test_exact_index_refuses_to_grow_beyond_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "EXACT_LIMIT", 10)
    index = VectorIndex(*unit_vectors(8))
    assert index.accepts(2)
    assert not index.accepts(3)


def test_saved_index_loads_with_its_stamp_only(tmp_path: Path) -> None:
    ids, matrix = unit_vectors(40)
    path = tmp_path / "vectors.faiss"
    VectorIndex(ids, matrix).save(path, STAMP)
    assert VectorIndex.load(path, STAMP).search(matrix[7], 1)[0][0] == ids[7]
    assert [file.name for file in tmp_path.iterdir()] == ["vectors.faiss"]
    with pytest.raises(StaleIndexError, match="out of step"):
        VectorIndex.load(path, {"generation": "8"})


@pytest.mark.parametrize("at", [0, 20, 60, 400, -1])
def test_one_damaged_byte_is_noticed(tmp_path: Path, at: int) -> None:
    path = tmp_path / "vectors.faiss"
    VectorIndex(*unit_vectors(40)).save(path, STAMP)
    content = bytearray(path.read_bytes())
    content[at] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(StaleIndexError):
        VectorIndex.load(path, STAMP)


@pytest.mark.parametrize("content", [b"", b"quoth-vectors-1\n", b"quoth-vectors-1\n[]\nx", b"\x00" * 100])
def test_other_content_is_noticed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vectors.faiss"
    path.write_bytes(content)
    with pytest.raises(StaleIndexError):
        VectorIndex.load(path, STAMP)


def test_missing_file_is_stale(tmp_path: Path) -> None:
    with pytest.raises(StaleIndexError, match="cannot be read"):
        VectorIndex.load(tmp_path / "none.faiss", STAMP)
