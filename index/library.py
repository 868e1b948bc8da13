"""The library: one folder that holds documents and finds passages in them.

SQLite is the truth; the FAISS file beside it is a cache that is rebuilt whenever it is missing, damaged or
out of step.
"""

from __future__ import annotations

import json
import logging
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from filelock import FileLock, Timeout

from index.backup import back_up
from index.document import Document, assemble, one_line
from index.embedding import Embedder, FloatArray, SentenceTransformerEmbedder
from index.errors import (
    DocumentNotFoundError,
    DocumentTooLargeError,
    FeedbackError,
    LibraryBusyError,
    ModelMismatchError,
    SourceNotFoundError,
    TitleError,
)
from index.feedback import Feedback, FeedbackRecord
from index.health import Check, FaultError, check_database, check_weights, run_check
from index.passages import CHUNKING, Passage, divide
from index.store import WRITE_TIMEOUT_SECONDS, DocumentRecord, Store, StoredPassage
from index.vectors import DamagedIndexError, IdArray, StaleIndexError, VectorIndex

log = logging.getLogger(__name__)

VECTORS = "vectors.faiss"
SAVING_LOCK = "vectors.lock"
REINDEX_LOCK = "reindex.lock"
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
    sources: Sequence[Path]  # the files of watched folders that brought it
    manifest: dict[str, str]  # what its vectors were made with


@dataclass(frozen=True, slots=True, eq=False)
class _Indexed:
    """A document ready to be stored."""

    document: Document
    passages: Sequence[Passage]
    vectors: Sequence[FloatArray]  # one (1 + n_sentences, dimension) matrix a passage
    manifest: dict[str, str]  # what the vectors were made with


@dataclass(slots=True, eq=False)
class _Change:
    """What a transaction does to the passages."""

    removed: list[IdArray] = field(default_factory=list)
    added: list[tuple[IdArray, FloatArray]] = field(default_factory=list)  # (n,), (n, dimension)


class Library:
    """Documents by content id, and passages by vector and by full text. Safe to share between threads.

    Use as a context manager, or call `close`.
    """

    def __init__(self, folder: Path, embedder: Embedder, max_document_bytes: int) -> None:
        self.folder = folder
        self.embedder = embedder
        self.max_document_bytes = max_document_bytes
        self._store = Store(folder)
        self._changes = threading.RLock()  # one change at a time; taken before the next lock, never after
        self._lock = threading.RLock()  # guards the two caches below
        self._index: tuple[str, VectorIndex] | None = None  # with the generation it belongs to
        self._documents: OrderedDict[str, Document] = OrderedDict()
        if self._store.meta("chunking") not in (None, CHUNKING):
            log.warning(
                "the library %s was divided by another version of Quoth; it answers as before, but takes no "
                "more documents until you run: quoth reindex",
                folder,
            )

    @classmethod
    def open(
        cls,
        folder: str | PathLike[str],
        *,
        embedder: Embedder | None = None,
        max_document_bytes: int = MAX_DOCUMENT_BYTES,
    ) -> Self:
        """Open the library in `folder`, created when missing. The model loads when it is first needed.

        Any number of processes may have it open: they read at once, write one after the other, and each
        finds at its next question what another one added. Raises LibraryUnreadableError (the folder or its
        database cannot be used), LibraryTooNewError and LibraryBusyError (another process is bringing it up
        to date and did not finish in time). Every method raises LibraryGoneError once the folder was moved
        or deleted, and those that write LibraryFullError when the disk is full; the library then stays as
        it was.
        """
        return cls(Path(folder), embedder or SentenceTransformerEmbedder(), max_document_bytes)

    def close(self) -> None:
        """Let go of the files. A closed library cannot be used again."""
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
        data, name = read_source(source, name, self.max_document_bytes)
        document_id = content_id(data)
        if self._store.has(document_id):
            return self.document(document_id)
        indexed = self._index_source(data, name, report)
        report("store", 0, 1)
        self._insert(indexed, _now())
        report("store", 1, 1)
        return indexed.document

    def add_from_folder(self, path: Path, progress: Progress | None = None) -> Document:
        """Add a file of a watched folder in the place of what it held before, all in one transaction.

        The earlier version goes unless another file brought it too, and keeps its place in the list to the
        new one. A document that was in the library on its own stays there on its own: no file's end removes
        it. Raises what `add` raises, and DocumentNotFoundError when somebody removed the document just then.
        """
        report = progress or _silent
        report("read", 0, 1)
        data, name = read_source(path, None, self.max_document_bytes)
        document_id = content_id(data)
        if self._store.source(path) == document_id:
            return self.document(document_id)
        indexed = None if self._store.has(document_id) else self._index_source(data, name, report)
        with self._changing() as change:
            earlier = self._store.release(path)
            number = None if earlier is None else self._store.place_in_list(earlier)[0]
            if earlier is not None:
                change.removed.append(self._store.delete_document(earlier))
            if indexed is not None:
                self._insert_into(change, indexed, _now(), number)
            if indexed is not None or self._store.sources_of(document_id):
                self._store.set_source(path, document_id)
        return self.document(document_id)

    def remove_from_folder(self, path: Path) -> Document | None:
        """The file of a watched folder is gone: so is what it brought, unless another file brought it too.

        Returns the document that was removed.
        """
        with self._changing() as change:
            document_id = self._store.release(path)
            if document_id is None:
                return None
            document = self._store.document(document_id)
            change.removed.append(self._store.delete_document(document_id))
        return document

    def source(self, path: Path) -> str | None:
        """The id of the document that this file of a watched folder brought; None when it brought none."""
        return self._store.source(path)

    def sources(self, folder: Path) -> dict[Path, str]:
        """For every file in a watched folder, at any depth, that brought a document, the document's id."""
        return self._store.sources(folder)

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
        with self._changing() as change:
            removed = self._removed(document_id)
            change.removed.append(self._store.delete_document(document_id))
        with self._lock:
            self._documents.pop(document_id, None)
        return removed

    def _removed(self, document_id: str) -> RemovedDocument:
        passages = self._store.passages(self._store.passage_ids([document_id]).tolist())
        return RemovedDocument(
            self._store.document(document_id),
            *self._store.place_in_list(document_id),
            passages,
            self._store.sources_of(document_id),
            self._stored_manifest(),
        )

    def put_back(self, removed: RemovedDocument) -> Document:
        """Undo a removal: the document is in its place in the list again, nothing is embedded anew.

        Where the library was embedded with another model in the meantime, the document is too.
        """
        if removed.manifest == self._stored_manifest():
            passages = [stored.passage for stored in removed.passages]
            vectors = [np.vstack([stored.vector, stored.sentence_vectors]) for stored in removed.passages]
            indexed = _Indexed(removed.document, passages, vectors, removed.manifest)
        else:
            indexed = self._index_document(removed.document, _silent)
        self._insert(indexed, removed.added, removed.number, removed.sources)
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

        Until all is done, questions are answered from the old passages by whoever runs the old model, which
        embeds the question: a page that was started before, or a command with the old setting. That is so
        in other processes too, and documents may come and go meanwhile. Then the new passages take the place
        of the old in one transaction, and it is the new model that answers. After an interruption at any
        instant, the next call with the same model goes on where this one was; one with another model starts
        anew. Raises LibraryBusyError when another process is at it.
        """
        report = progress or _silent
        with self._reindexing():
            with self._store.writing():
                self._store.begin_staging(json.dumps(self._manifest(), sort_keys=True))
            while not self._adopt_staged():
                for document_id in self._store.unstaged():
                    with suppress(DocumentNotFoundError):  # removed in the meantime
                        self._stage(self._store.document(document_id), report)

    @contextmanager
    def _reindexing(self) -> Iterator[None]:
        self._store.require_file()  # the lock would make a folder that is gone
        try:
            with FileLock(self.folder / REINDEX_LOCK, timeout=0):
                yield
        except Timeout as error:
            raise LibraryBusyError(
                f"another process is embedding the library {self.folder} again; wait until it is done"
            ) from error

    def _stage(self, document: Document, report: Progress) -> None:
        passages = divide(document, self.embedder.count_tokens, self.embedder.max_tokens)
        for first in range(self._store.staged_count(document.id), len(passages), EMBED_BATCH):
            batch = passages[first : first + EMBED_BATCH]
            vectors = self._embed(document, batch)
            with self._store.writing():
                if not self._is_staged(document, first):
                    return
                self._store.stage(document, first, batch, vectors)
            total = self._store.passage_count(None)  # of the old chunking: near enough to count by
            report("embed", min(total, self._store.staged_count()), total)
        with self._store.writing():
            if self._is_staged(document, len(passages)):
                self._store.finish_staging(document.id)

    def _is_staged(self, document: Document, count: int) -> bool:
        """Whether so many passages are, under this title, which is part of what is embedded."""
        return (self._store.title(document.id), self._store.staged_count(document.id)) == (
            document.title,
            count,
        )

    def _adopt_staged(self) -> bool:
        """Let the staged passages serve; False when a document is not among them yet."""
        with self._changes, self._store.writing():
            if self._store.unstaged():
                return False
            self._store.adopt_staged()
            self._write_manifest()
            self._store.advance_generation()
        with self.snapshot():
            self._vectors()
        return True

    # Health

    def check(self) -> tuple[Check, ...]:
        """Everything that can be checked: the database, the FAISS file, the model. Nothing is changed."""
        return (
            *check_database(self._store),
            run_check("vector file", self._examine_vectors, derived=True),
            run_check("model", self._examine_model),
            check_weights(self.embedder),
        )

    def mend(self) -> None:
        """Build what is derived again: full text and the FAISS file."""
        with self._changes, self._store.writing():
            self._store.rebuild_full_text()
        with self.snapshot():
            (self.folder / VECTORS).unlink(missing_ok=True)
            self._index = None
            self._vectors()

    def back_up(self, target: Path) -> None:
        """Write all of the library, as it is now, to a new file; `index.backup.restore` reads it.

        Who reads or writes the library meanwhile does not wait. Raises BackupError.
        """
        back_up(self.folder, target)

    def _examine_vectors(self) -> str:
        with self.snapshot():
            ids, vectors = self._store.vectors()
            try:
                index = VectorIndex.load(self.folder / VECTORS, {"generation": self._store.generation})
            except DamagedIndexError as error:
                raise FaultError(str(error)) from error
            except StaleIndexError as error:
                return f"{error}; the next question builds it again"
        if not index.holds(ids, vectors):
            raise FaultError("holds other vectors than the database")
        return f"{len(ids)} vectors, those of the database"

    def _examine_model(self) -> str:
        self._check_manifest(self._manifest())
        return f"{self.embedder.name}, chunking {CHUNKING}"

    # Search

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that this thread reads inside is of one state of the library, whatever others write.

        To read only: a change that is begun inside may wait for ever.
        """
        with self._lock, self._store.reading():
            yield

    def nearest(
        self, vector: FloatArray, k: int, documents: Sequence[str] | None = None
    ) -> list[tuple[int, float]]:
        """The `k` passages nearest to a unit vector, as (passage id, cosine similarity), best first.

        `documents` restricts the search itself, so there are `k` if the documents have that many. Raises
        DocumentNotFoundError and ModelMismatchError.
        """
        with self.snapshot():
            self._check_model()
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
        """How many passages the library has, or these documents."""
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

    def _index_source(self, data: bytes, name: str, report: Progress) -> _Indexed:
        """Parse, divide and embed; nothing is written."""
        from index.formats import parse  # twenty formats take a fifth of a second: not to list documents

        document = assemble(parse(data, name), document_id=content_id(data), name=name)
        report("read", 1, 1)
        self._check_manifest(self._manifest())
        return self._index_document(document, report)

    def _index_document(self, document: Document, report: Progress) -> _Indexed:
        """Divide and embed; nothing is written."""
        passages = divide(document, self.embedder.count_tokens, self.embedder.max_tokens)
        vectors: list[FloatArray] = []
        report("embed", 0, len(passages))
        for at in range(0, len(passages), EMBED_BATCH):
            vectors += self._embed(document, passages[at : at + EMBED_BATCH])
            report("embed", len(vectors), len(passages))
        return _Indexed(document, passages, vectors, self._manifest())

    def _embed(self, document: Document, passages: Sequence[Passage]) -> list[FloatArray]:
        texts = [passage.embedded_text(document) for passage in passages]
        return self.embedder.embed_passages(texts, [passage.embedded_spans() for passage in passages])

    def _insert(
        self, indexed: _Indexed, added: str, number: int | None = None, sources: Sequence[Path] = ()
    ) -> None:
        with self._changing() as change:
            self._insert_into(change, indexed, added, number)
            for path in sources:
                self._store.set_source(path, indexed.document.id)

    def _insert_into(self, change: _Change, indexed: _Indexed, added: str, number: int | None) -> None:
        self._check_manifest(indexed.manifest)  # another process may have changed the model since
        if self._store.insert_document(indexed.document, added, number):
            ids = self._store.insert_passages(indexed.document, indexed.passages, indexed.vectors)
            if len(ids):
                change.added.append((ids, np.stack([matrix[0] for matrix in indexed.vectors])))
            if not self._stored_manifest():
                self._write_manifest()

    @contextmanager
    def _changing(self) -> Iterator[_Change]:
        """One transaction; the index is brought along when it is through."""
        change = _Change()
        with self._changes:
            with self._store.writing():
                with self._lock:
                    index = self._vectors()  # of the state that this transaction changes
                yield change
                if not change.removed and not change.added:
                    return
                generation = self._store.advance_generation()
            self._bring_along(index, change, generation)

    def _bring_along(self, index: VectorIndex, change: _Change, generation: str) -> None:
        """What is not brought along is built again when it is needed."""
        with self._lock:
            for ids in change.removed:
                index.remove(ids)
            if change.added and not (len(index) and index.accepts(sum(len(ids) for ids, _ in change.added))):
                return
            for ids, vectors in change.added:
                index.add(ids, vectors)
            self._index = (generation, index)
            self._save(index, generation)

    # The manifest: which model and chunking the stored vectors come from

    def _manifest(self) -> dict[str, str]:
        return {"fingerprint": self.embedder.fingerprint, "chunking": CHUNKING}

    def _stored_manifest(self) -> dict[str, str]:
        """Empty until the library held a document."""
        with self._store.reading():  # both of one state: the first document writes them
            found = {key: self._store.meta(key) for key in ("fingerprint", "chunking")}
        return {key: value for key, value in found.items() if value is not None}

    def _write_manifest(self) -> None:
        described = {"model": self.embedder.name, "dimension": str(self.embedder.dimension)}
        for key, value in (self._manifest() | described).items():
            self._store.set_meta(key, value)

    def _check_manifest(self, manifest: dict[str, str]) -> None:
        """Passages of another model or chunking do not go beside the stored ones."""
        if self._stored_manifest() not in ({}, manifest):
            raise self._mismatch()

    def _check_model(self) -> None:
        """The question's vector has to be of the model of the passages; their chunking is no matter then."""
        if self._stored_manifest().get("fingerprint") not in (None, self.embedder.fingerprint):
            raise self._mismatch()

    def _mismatch(self) -> ModelMismatchError:
        return ModelMismatchError(
            f"the library {self.folder} was embedded with {self._store.meta('model')} (chunking "
            f"{self._store.meta('chunking')}), not {self.embedder.name} (chunking {CHUNKING}); choose that "
            f"model (QUOTH_MODEL), or run: quoth reindex"
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

    def _save(self, index: VectorIndex, generation: str) -> None:
        try:
            with FileLock(self.folder / SAVING_LOCK, timeout=WRITE_TIMEOUT_SECONDS):
                index.save(self.folder / VECTORS, {"generation": generation})
        except OSError as error:
            reason = error.strerror or "another process is writing it"
            log.warning("the FAISS file was not saved (%s); it will be built again next time", reason)


def content_id(data: bytes) -> str:
    """The id of a document with this content: the first 16 hex digits of its SHA-256."""
    return sha256(data).hexdigest()[:16]


def read_source(source: str | PathLike[str] | bytes, name: str | None, limit: int) -> tuple[bytes, str]:
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
