"""The library: one folder that holds documents and finds passages in them.

SQLite is the truth; the FAISS file beside it is a cache that is rebuilt whenever it is missing, damaged or
out of step.
"""

from __future__ import annotations

import logging
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from index.document import Document, assemble, one_line
from index.embedding import Embedder, FloatArray, SentenceTransformerEmbedder
from index.errors import (
    DocumentTooLargeError,
    FeedbackError,
    ModelMismatchError,
    SourceNotFoundError,
    TitleError,
)
from index.feedback import Feedback, FeedbackRecord
from index.formats import parse
from index.passages import CHUNKING, Passage, divide
from index.store import DocumentRecord, Store, StoredPassage
from index.vectors import StaleIndexError, VectorIndex

log = logging.getLogger(__name__)

VECTORS = "vectors.faiss"
BUNDLED = "hacking_the_universe.txt"
MAX_DOCUMENT_BYTES = 64 * 2**20
EMBED_BATCH = 32
CACHED_DOCUMENTS = 64
MAX_TITLE_CHARS = 300

Progress = Callable[[str, int, int], None]
"""Called as (stage, done, total); stages are "read", "embed" (in passages) and "store"."""


@dataclass(frozen=True, slots=True, eq=False)
class RemovedDocument:
    """A document that is no longer in the library, with all that putting it back needs."""

    document: Document
    number: int  # its place in the list
    added: str  # ISO 8601, UTC
    passages: Sequence[StoredPassage]
    manifest: dict[str, str]  # what its vectors were made with


@dataclass(frozen=True, slots=True, eq=False)
class _Indexed:
    """A document ready to be stored."""

    document: Document
    passages: Sequence[Passage]
    vectors: Sequence[FloatArray]  # one (1 + n_sentences, dimension) matrix a passage


class Library:
    """Documents by content id, and passages by vector and by full text. Safe to share between threads.

    Use as a context manager, or call `close`.
    """

    def __init__(self, folder: Path, embedder: Embedder, max_document_bytes: int) -> None:
        self.folder = folder
        self.embedder = embedder
        self.max_document_bytes = max_document_bytes
        self._store = Store(folder)
        self._lock = threading.RLock()  # guards the two caches below
        self._index: tuple[str, VectorIndex] | None = None  # with the generation it belongs to
        self._documents: OrderedDict[str, Document] = OrderedDict()

    @classmethod
    def open(
        cls,
        folder: str | PathLike[str],
        *,
        embedder: Embedder | None = None,
        max_document_bytes: int = MAX_DOCUMENT_BYTES,
    ) -> Self:
        """Open the library in `folder`, created when missing. The model loads when it is first needed.

        Raises LibraryUnreadableError (the folder or its database cannot be used) and LibraryTooNewError.
        """
        return cls(Path(folder), embedder or SentenceTransformerEmbedder(), max_document_bytes)

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Documents

    def add(
        self,
        source: str | PathLike[str] | bytes,
        *,
        name: str | None = None,
        progress: Progress | None = None,
    ) -> Document:
        """Add a file, or bytes with a name; the same content twice is one document.

        All or nothing: until the document is whole in the database, the library is as before. Raises a
        DocumentError for what cannot be read, LibraryBusyError when another process keeps writing, and
        ModelMismatchError when the library was embedded with another model.
        """
        report = progress or _silent
        report("read", 0, 1)
        data, name = _read(source, name, self.max_document_bytes)
        document_id = content_id(data)
        if self._store.has(document_id):
            return self.document(document_id)
        document = assemble(parse(data, name), document_id=document_id, name=name)
        report("read", 1, 1)
        self._check_manifest()
        indexed = self._index_document(document, report)
        report("store", 0, 1)
        self._insert(indexed, _now())
        report("store", 1, 1)
        return document

    def add_bundled(self, progress: Progress | None = None) -> Document | None:
        """Add the bundled summary to a library that never had it; None once it did, removed or not."""
        if self._store.meta("bundled") is not None:
            return None
        source = files("index.corpus").joinpath(BUNDLED)
        document = self.add(source.read_bytes(), name=BUNDLED, progress=progress)
        with self._store.writing():
            self._store.set_meta("bundled", document.id)
        return document

    def remove(self, document_id: str) -> RemovedDocument:
        """Remove a document and all that was derived from it; `put_back` undoes it.

        Raises DocumentNotFoundError.
        """
        with self._lock:
            with self._store.writing():
                index = self._vectors()  # of the state that this transaction changes
                document = self._store.document(document_id)
                passages = self._store.passages(self._store.passage_ids([document_id]).tolist())
                removed = RemovedDocument(
                    document, *self._store.place_in_list(document_id), passages, self._manifest()
                )
                ids = self._store.delete_passages(document_id)
                self._store.delete_document(document_id)
                generation = self._store.advance_generation()
            self._documents.pop(document_id, None)
            index.remove(ids)
            self._keep(index, generation)
        return removed

    def put_back(self, removed: RemovedDocument) -> Document:
        """Undo a removal: the document is in its place in the list again, nothing is embedded anew.

        Where the library was embedded with another model in the meantime, the document is too.
        """
        if removed.manifest == self._manifest():
            passages = [stored.passage for stored in removed.passages]
            vectors = [np.vstack([stored.vector, stored.sentence_vectors]) for stored in removed.passages]
            indexed = _Indexed(removed.document, passages, vectors)
        else:
            indexed = self._index_document(removed.document, _silent)
        self._insert(indexed, removed.added, removed.number)
        return removed.document

    def rename(self, document_id: str, title: str) -> None:
        """Give a document another title. Raises TitleError (blank, too long) and DocumentNotFoundError."""
        title = one_line(title)
        if not title or len(title) > MAX_TITLE_CHARS:
            raise TitleError(f"a title has 1 to {MAX_TITLE_CHARS} characters, and this one {len(title):,}")
        with self._store.writing():
            self._store.require(document_id)
            self._store.set_title(document_id, title)

    def documents(self) -> tuple[DocumentRecord, ...]:
        """Every document, oldest first."""
        return self._store.records()

    def document(self, document_id: str) -> Document:
        """The whole document. Raises DocumentNotFoundError."""
        with self._lock:
            title = self._store.title(document_id)  # another process may have changed or removed it
            if document_id not in self._documents or self._documents[document_id].title != title:
                self._documents[document_id] = self._store.document(document_id)
            self._documents.move_to_end(document_id)
            while len(self._documents) > CACHED_DOCUMENTS:
                self._documents.popitem(last=False)
            return self._documents[document_id]

    def reindex(self, progress: Progress | None = None) -> None:
        """Divide and embed every document again, for another model or another version of the chunking.

        Until all is done the library is as before.
        """
        report = progress or _silent
        total = self._store.passage_count(None)  # of the old chunking: near enough to count by
        indexed: dict[str, _Indexed] = {}
        for record in self._store.records():
            indexed[record.id] = self._index_document(self._store.document(record.id), _silent)
            report("embed", min(total, sum(len(each.passages) for each in indexed.values())), total)
        with self._lock, self._store.writing():
            for record in self._store.records():  # some may have come or gone in the meantime
                each = indexed.get(record.id) or self._index_document(
                    self._store.document(record.id), _silent
                )
                self._store.delete_passages(record.id)
                self._store.insert_passages(each.document, each.passages, each.vectors)
            self._write_manifest()
            self._store.advance_generation()

    # Search

    def nearest(
        self, vector: FloatArray, k: int, documents: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        """The `k` passages nearest to a unit vector, as (passage id, cosine similarity), best first.

        `documents` restricts the search itself, so there are `k` if the documents have that many. Raises
        DocumentNotFoundError and ModelMismatchError.
        """
        self._check_manifest()
        with self._lock:
            among = None if documents is None else self._store.passage_ids(documents)
            return self._vectors().search(vector, k, among)

    def matching(
        self, query: Sequence[str], k: int, documents: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        """The `k` best passages for any of the index terms, as (passage id, BM25 score), best first."""
        return self._store.matching(query, k, documents)

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """The passages with these ids, in this order; ids that are gone by now are left out."""
        return self._store.passages(ids)

    def passage_count(self, documents: Sequence[str] | None = None) -> int:
        return self._store.passage_count(documents)

    def document_frequency(
        self, query: Sequence[str], documents: Sequence[str] | None = None
    ) -> dict[str, int]:
        """In how many passages (of these documents) each index term occurs."""
        return self._store.document_frequency(query, documents)

    def require(self, document_id: str) -> None:
        """Raises DocumentNotFoundError unless the library holds the document."""
        self._store.require(document_id)

    # Feedback

    def add_feedback(self, feedback: Feedback) -> FeedbackRecord:
        """Keep what a person said about an answer, with the time and the versions at work.

        Raises FeedbackError (malformed, too large, or an excerpt that no document holds),
        DocumentNotFoundError and LibraryBusyError.
        """
        feedback.check()
        for document_id in feedback.documents:
            self.require(document_id)
        for excerpt in feedback.excerpts:
            document = self.document(excerpt.document_id)
            if not excerpt.stands_in(document):
                raise FeedbackError(
                    f"{document.title!r} has no such sentence at {excerpt.start}:{excerpt.end}; choose one, "
                    f"or several of one paragraph"
                )
        with self._store.writing():
            return self._store.insert_feedback(feedback, _now(), version("quoth"), self.embedder.fingerprint)

    def feedback(self) -> tuple[FeedbackRecord, ...]:
        """All that was said, oldest first; also about documents that were removed since."""
        return self._store.feedback()

    # Adding

    def _index_document(self, document: Document, report: Progress) -> _Indexed:
        """Divide and embed; nothing is written."""
        passages = divide(document, self.embedder.count_tokens, self.embedder.max_tokens)
        vectors: list[FloatArray] = []
        report("embed", 0, len(passages))
        for at in range(0, len(passages), EMBED_BATCH):
            batch = passages[at : at + EMBED_BATCH]
            texts = [passage.embedded_text(document) for passage in batch]
            vectors += self.embedder.embed_passages(texts, [passage.embedded_spans() for passage in batch])
            report("embed", len(vectors), len(passages))
        return _Indexed(document, passages, vectors)

    def _insert(self, indexed: _Indexed, added: str, number: int | None = None) -> None:
        with self._lock:
            with self._store.writing():
                self._check_manifest()  # another process may have changed the model since
                index = self._vectors()  # of the state that this transaction changes
                if not self._store.insert_document(indexed.document, added, number):
                    return
                ids = self._store.insert_passages(indexed.document, indexed.passages, indexed.vectors)
                self._write_manifest()
                generation = self._store.advance_generation()
            if len(index) and index.accepts(len(ids)):
                index.add(ids, np.stack([matrix[0] for matrix in indexed.vectors]))
                self._keep(index, generation)

    # The manifest: which model and chunking the stored vectors come from

    def _manifest(self) -> dict[str, str]:
        return {
            "model": self.embedder.name,
            "fingerprint": self.embedder.fingerprint,
            "chunking": CHUNKING,
        }

    def _write_manifest(self) -> None:
        for key, value in (self._manifest() | {"dimension": str(self.embedder.dimension)}).items():
            self._store.set_meta(key, value)

    def _check_manifest(self) -> None:
        for key, value in self._manifest().items():
            stored = self._store.meta(key)
            if key != "model" and stored not in (None, value):
                raise ModelMismatchError(
                    f"the library {self.folder} was embedded with {self._store.meta('model')} (chunking "
                    f"{self._store.meta('chunking')}), not {self.embedder.name} (chunking {CHUNKING}); "
                    f"run: quoth reindex"
                )

    # The FAISS cache

    def _vectors(self) -> VectorIndex:
        """The index of the database's present state: kept, or from the file, or built."""
        generation = self._store.generation
        if self._index is None or self._index[0] != generation:
            self._index = (generation, self._load_vectors(generation))
        return self._index[1]

    def _load_vectors(self, generation: str) -> VectorIndex:
        try:
            return VectorIndex.load(self.folder / VECTORS, {"generation": generation})
        except StaleIndexError as reason:
            if (self.folder / VECTORS).exists():
                log.info("the FAISS file %s; building it again from the stored vectors", reason)
        index = VectorIndex(*self._store.vectors())
        self._save(index, generation)
        return index

    def _keep(self, index: VectorIndex, generation: str) -> None:
        """The index was brought up to this state of the database."""
        self._index = (generation, index)
        self._save(index, generation)

    def _save(self, index: VectorIndex, generation: str) -> None:
        try:
            index.save(self.folder / VECTORS, {"generation": generation})
        except OSError as error:
            log.warning("the FAISS file was not saved (%s); it will be built again next time", error.strerror)


def content_id(data: bytes) -> str:
    """The id of a document with this content: the first 16 hex digits of its SHA-256."""
    return sha256(data).hexdigest()[:16]


def _read(source: str | PathLike[str] | bytes, name: str | None, limit: int) -> tuple[bytes, str]:
    """The source's bytes and name. Raises SourceNotFoundError and DocumentTooLargeError."""
    if isinstance(source, bytes):
        data, name = source, name or "document.txt"
    else:
        data, name = _read_file(Path(source), limit), name or Path(source).name
    if len(data) > limit:
        raise too_large(name, len(data), limit)
    return data, name.encode("utf-8", "replace").decode()  # a file system may know names that are no text


def _read_file(path: Path, limit: int) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceNotFoundError(f"{path} is a folder; name the files in it, for example {path}/*.txt")
        if status.st_size > limit:
            raise too_large(path.name, status.st_size, limit)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"there is no file {path}; check the name and the folder") from error
    except OSError as error:
        raise SourceNotFoundError(f"cannot read {path}: {error.strerror}") from error


def too_large(name: str, size: int, limit: int) -> DocumentTooLargeError:
    """The error for a file of `size` bytes where `limit` are allowed."""
    return DocumentTooLargeError(
        f"{name} has {size / 2**20:.1f} MB and the limit is {limit / 2**20:.0f} MB; divide it, or raise "
        f"QUOTH_MAX_DOCUMENT_MB"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _silent(stage: str, done: int, total: int) -> None:
    """The progress of somebody who does not watch."""
