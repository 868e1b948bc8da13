"""FAISS: passage ids ↔ vectors. Exact search while small, inverted lists (IVF) when large.

The index is a cache: the vectors themselves are in the library's database. Its file carries a stamp that
says which state of the database it belongs to, and a checksum; anything wrong with it is `StaleIndexError`,
and whoever catches that builds the index again.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import faiss  # its stubs do not know what its Python layer adds (selectors, keyword parameters)
import numpy as np
from numpy.typing import NDArray

from index.embedding import FloatArray

IdArray = NDArray[np.int64]

EXACT_LIMIT = 50_000
"""Up to this many passages every vector is compared; above, only the nearest lists are."""

PROBED_SHARE = 8
"""One list in eight is searched when the index is approximate."""

_HASHTABLE = 2  # faiss.DirectMap.Hashtable
_MAGIC = b"quoth-vectors-1\n"


class StaleIndexError(Exception):
    """The file is missing or belongs to another state of the database."""


class DamagedIndexError(StaleIndexError):
    """The file is not what was written."""


class VectorIndex:
    """Inner-product search over unit vectors, so that scores are cosine similarities (-1 to 1)."""

    def __init__(self, ids: IdArray, vectors: FloatArray) -> None:
        """ids: (n,) int64, vectors: (n, dimension) float32 of unit norm."""
        self._index = _build(ids, vectors)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def accepts(self, count: int) -> bool:
        """Whether so many more can be added; when not, the index is to be built anew as another kind."""
        return isinstance(self._index, faiss.IndexIVF) or len(self) + count <= EXACT_LIMIT

    def add(self, ids: IdArray, vectors: FloatArray) -> None:
        self._index.add_with_ids(np.ascontiguousarray(vectors), ids)

    def remove(self, ids: IdArray) -> None:
        self._index.remove_ids(ids)

    def holds(self, ids: IdArray, vectors: FloatArray) -> bool:
        """Whether these ids with these vectors are all that it has."""
        if len(ids) != len(self):
            return False
        if isinstance(self._index, faiss.IndexIVF):
            self._index.set_direct_map_type(_HASHTABLE)  # it has no way from id to vector else
        try:
            return not len(ids) or bool(np.array_equal(self._index.reconstruct_batch(ids), vectors))
        except RuntimeError:  # an id that it lacks
            return False

    def search(self, vector: FloatArray, k: int, among: IdArray | None = None) -> list[tuple[int, float]]:
        """The `k` nearest (id, similarity), best first, ties by id; of the ids `among` when given."""
        k = min(k, len(self) if among is None else len(among))
        if k == 0:
            return []
        similarities, ids = self._index.search(vector[None, :], k, params=self._parameters(among))
        found = [(int(i), float(s)) for i, s in zip(ids[0], similarities[0], strict=True) if i >= 0]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def _parameters(self, among: IdArray | None) -> Any:
        """A selection is searched exactly: its size is what bounds the work then, not the index's."""
        selector = None if among is None else faiss.IDSelectorBatch(among)
        if not isinstance(self._index, faiss.IndexIVF):
            return None if selector is None else _parameters(faiss.SearchParameters, sel=selector)
        lists = self._index.nlist
        probed = lists if among is not None else max(1, lists // PROBED_SHARE)
        return _parameters(faiss.SearchParametersIVF, sel=selector, nprobe=probed)

    def save(self, path: Path, stamp: dict[str, str]) -> None:
        """Write under a temporary name, flush, rename: the file is whole or absent. Raises OSError.

        One at a time: a process that is killed leaves one partial file, which the next one overwrites.
        """
        payload = faiss.serialize_index(self._index).tobytes()
        header = json.dumps({**stamp, "sha256": hashlib.sha256(payload).hexdigest()}, sort_keys=True)
        partial = path.with_name(f"{path.name}.partial")
        try:
            with partial.open("wb") as stream:
                stream.writelines((_MAGIC, header.encode() + b"\n", payload))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path, stamp: dict[str, str]) -> VectorIndex:
        """Raises StaleIndexError when the file cannot serve for this stamp, saying why."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StaleIndexError(f"cannot be read ({error.strerror})") from error
        header, payload = _split(content)
        checksum = header.pop("sha256", None)
        if checksum != hashlib.sha256(payload).hexdigest():
            raise DamagedIndexError("is damaged (checksum)")
        if header != stamp:
            raise StaleIndexError("is out of step with the database")
        loaded = cls.__new__(cls)
        loaded._index = faiss.deserialize_index(np.frombuffer(payload, dtype=np.uint8))
        return loaded


def _parameters(kind: Any, **values: Any) -> Any:
    return kind(**values)


def _build(ids: IdArray, vectors: FloatArray) -> Any:
    count, dimension = vectors.shape
    index: Any
    if count <= EXACT_LIMIT:
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
    else:
        lists = int(4 * count**0.5)  # FAISS guidelines, "Guidelines to choose an index"
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT)
        index.train(np.ascontiguousarray(vectors))
    if count:
        index.add_with_ids(np.ascontiguousarray(vectors), ids)
    return index


def _split(content: bytes) -> tuple[dict[str, str], bytes]:
    if not content.startswith(_MAGIC):
        raise DamagedIndexError("is damaged (no header)")
    header, separator, payload = content[len(_MAGIC) :].partition(b"\n")
    try:
        fields = json.loads(header)
    except ValueError as error:
        raise DamagedIndexError("is damaged (header)") from error
    if not separator or not isinstance(fields, dict):
        raise DamagedIndexError("is damaged (header)")
    return fields, payload
