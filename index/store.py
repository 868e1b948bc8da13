"""The library's SQLite database: documents, structure, passages with their vectors, full text.

Rows in, values out; nothing here knows models or files. Two connections serve all threads, one to read and
one to write, each behind its lock: a read takes well under a millisecond and never waits for a writer, here
or in another process. Writers take turns.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from index.analysis import terms
from index.document import Block, Document, Place, Section, Sentence
from index.embedding import FloatArray
from index.errors import (
    DocumentNotFoundError,
    LibraryBusyError,
    LibraryDamagedError,
    LibraryError,
    LibraryFullError,
    LibraryGoneError,
    LibraryMissingError,
    LibraryTooNewError,
    LibraryUnreadableError,
)
from index.feedback import Excerpt, Feedback, FeedbackRecord
from index.passages import Passage
from index.vectors import IdArray

DATABASE = "quoth.db"
OPENING_LOCK = "opening.lock"
WRITE_TIMEOUT_SECONDS = 30.0
KEPT_LOG_BYTES = 64 * 2**20
"""What the write-ahead log may keep of the disk after a large transaction."""

_SETTINGS = (
    "foreign_keys = ON",
    "journal_mode = WAL",
    "synchronous = FULL",
    f"journal_size_limit = {KEPT_LOG_BYTES}",
)

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE documents (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
        name TEXT NOT NULL, added TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE TABLE sections (
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
        heading TEXT NOT NULL, level INTEGER NOT NULL, path TEXT NOT NULL, start INTEGER NOT NULL,
        end INTEGER NOT NULL, heading_start INTEGER NOT NULL, heading_end INTEGER NOT NULL,
        PRIMARY KEY (document_id, position)
    ) WITHOUT ROWID;
    CREATE TABLE blocks (
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
        kind TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, section INTEGER NOT NULL,
        label_start INTEGER NOT NULL, context INTEGER,
        PRIMARY KEY (document_id, position)
    ) WITHOUT ROWID;
    CREATE TABLE sentences (
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
        start INTEGER NOT NULL, end INTEGER NOT NULL, block INTEGER NOT NULL,
        PRIMARY KEY (document_id, position)
    ) WITHOUT ROWID;
    CREATE TABLE passages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
        start INTEGER NOT NULL, end INTEGER NOT NULL, section INTEGER NOT NULL, prefix TEXT NOT NULL,
        spans TEXT NOT NULL,   -- JSON [[start, end], ...]
        vector BLOB NOT NULL,           -- (dimension,) float32, unit norm
        sentence_vectors BLOB NOT NULL  -- (n_sentences, dimension) float16
    );
    CREATE INDEX passages_of_document ON passages(document_id);
    CREATE VIRTUAL TABLE passage_terms USING fts5(
        prefix, body, tokenize = "unicode61 remove_diacritics 0 tokenchars '.'"
    );
    CREATE VIRTUAL TABLE passage_vocabulary USING fts5vocab(passage_terms, 'row');
    """,
    """
    CREATE TABLE places (
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
        start INTEGER NOT NULL, label TEXT NOT NULL,
        PRIMARY KEY (document_id, position)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE feedback (
        number INTEGER PRIMARY KEY AUTOINCREMENT, given TEXT NOT NULL, verdict TEXT NOT NULL,
        question TEXT NOT NULL, resolved_question TEXT NOT NULL,
        documents TEXT NOT NULL,  -- JSON [id, ...]; a document may be removed, what was said of it stays
        answered INTEGER NOT NULL, confidence REAL NOT NULL,
        shown TEXT NOT NULL,      -- JSON [[document id, start, end, text], ...]
        answer TEXT NOT NULL,     -- JSON [document id, start, end, text] or null
        reader TEXT NOT NULL, quoth TEXT NOT NULL, model TEXT NOT NULL
    );
    """,
    """
    CREATE TABLE sources (   -- which file of a watched folder brought which document
        path BLOB PRIMARY KEY, -- absolute; file systems know names that are no text
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE
    ) WITHOUT ROWID;
    CREATE INDEX sources_of_document ON sources(document_id);
    CREATE TABLE staged_documents ( -- those of which every passage is staged
        document_id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE
    ) WITHOUT ROWID;
    CREATE TABLE staged_passages ( -- embedded anew, to take the place of `passages` when all are
        document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, position INTEGER NOT NULL,
        start INTEGER NOT NULL, end INTEGER NOT NULL, section INTEGER NOT NULL, prefix TEXT NOT NULL,
        spans TEXT NOT NULL, vector BLOB NOT NULL, sentence_vectors BLOB NOT NULL,
        prefix_terms TEXT NOT NULL, body_terms TEXT NOT NULL,
        PRIMARY KEY (document_id, position)
    );
    """,
)
"""Schema steps, oldest first; the database's `user_version` is how many were applied. Append, never edit."""

_SENTENCE_BREAK = "\x1f"  # between the terms of two sentences in passage_terms; no term holds it
_PREFIX_WEIGHT = 1.0  # of the heading path beside the passage's own words, in BM25


_TERMS = "passage_terms ON passage_terms.rowid = passages.id"
_PASSAGE = """passages.id, document_id, start, end, section, passages.prefix, spans, vector, sentence_vectors,
    coalesce(passage_terms.prefix, ''), coalesce(body, '')"""


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One line of the library's list of documents."""

    id: str
    title: str
    name: str
    added: str  # ISO 8601, UTC
    n_sentences: int
    n_characters: int


@dataclass(frozen=True, slots=True, eq=False)
class StoredPassage:
    """A passage as it was indexed."""

    id: int
    passage: Passage
    vector: FloatArray  # (dimension,), unit norm
    sentence_vectors: FloatArray  # (n_sentences, dimension), unit norm
    prefix_terms: tuple[str, ...]  # index terms of the heading path and context
    sentence_terms: tuple[tuple[str, ...], ...]  # index terms of each sentence, in order

    @property
    def terms(self) -> list[str]:
        """All that full text searches: the prefix's terms, then the sentences'."""
        return [*self.prefix_terms, *(term for sentence in self.sentence_terms for term in sentence)]


class Store:
    """Raises LibraryError subclasses for everything that SQLite can complain about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reader_lock = threading.RLock()
        self._writer_lock = threading.RLock()
        self._writing_thread: int | None = None
        with self._translated(), ExitStack() as opened:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / OPENING_LOCK, timeout=WRITE_TIMEOUT_SECONDS):  # two may open a new library
                self._writer = connect(folder)
                opened.callback(self._writer.close)
                self._migrate()
                self._reader = connect(folder)
            self._file = _file_identity(folder / DATABASE)
            opened.pop_all()

    def close(self) -> None:
        with self._writer_lock, self._reader_lock:
            self._reader.close()
            self._writer.close()

    # Meta

    def meta(self, key: str) -> str | None:
        found = self.rows("SELECT value FROM meta WHERE key = ?", key)
        return None if not found else str(found[0][0])

    def set_meta(self, key: str, value: str) -> None:
        self._writer.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> str:
        """Changes with every change of the passages; the FAISS file is stamped with it."""
        return self.meta("generation") or "0"

    # Reading and writing

    @contextmanager
    def reading(self) -> Iterator[None]:
        """All that is read inside is of one state of the database; within `writing`, of that transaction."""
        if self._is_writing():
            yield
            return
        with self._reader_lock:
            if self._reader.in_transaction:
                yield
                return
            self.rows("BEGIN")
            try:
                yield
            finally:
                self._reader.rollback()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of what is written inside, or none of it. Waits for other writers."""
        with self._writer_lock, self._translated():
            self.require_file()
            self._writer.execute("BEGIN IMMEDIATE")
            self._writing_thread = threading.get_ident()
            try:
                yield
                self.require_file()
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._writing_thread = None

    def rows(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """What a statement finds; within `writing`, with what was written there."""
        if self._is_writing():
            with self._translated():
                return self._writer.execute(statement, arguments).fetchall()
        with self._reader_lock, self._translated():
            self.require_file()
            return self._reader.execute(statement, arguments).fetchall()

    def _is_writing(self) -> bool:
        return self._writing_thread == threading.get_ident()

    def require_file(self) -> None:
        """Raises LibraryGoneError: what is written to a database that was deleted or moved away is lost."""
        if _file_identity(self.folder / DATABASE) != self._file:
            raise LibraryGoneError(
                f"the library {self.folder} was moved or deleted while it was open; put it back, "
                f"or start Quoth again"
            )

    def advance_generation(self) -> str:
        """The new generation, valid once the transaction is through."""
        generation = uuid.uuid4().hex
        self.set_meta("generation", generation)
        return generation

    def insert_document(self, document: Document, added: str, number: int | None = None) -> bool:
        """False when another writer was first. `number` is the place in the list, if it is free."""
        inserted = self._writer.execute(
            """INSERT OR IGNORE INTO documents (number, id, title, name, added, text)
               VALUES ((SELECT ?1 WHERE ?1 NOT IN (SELECT number FROM documents)), ?, ?, ?, ?, ?)""",
            (number, document.id, document.title, document.name, added, document.text),
        ).rowcount
        if not inserted:
            return False
        structure: dict[str, Sequence[Block] | Sequence[Sentence] | Sequence[Place]] = {
            "blocks": document.blocks,
            "sentences": document.sentences,
            "places": document.places,
        }
        for table, values in structure.items():
            self._insert(table, document.id, [astuple(value) for value in values])
        self._insert("sections", document.id, [_section_row(section) for section in document.sections])
        return True

    def _insert(self, table: str, document_id: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            marks = ", ".join("?" * (len(rows[0]) + 2))
            self._writer.executemany(
                f"INSERT INTO {table} VALUES ({marks})",
                ((document_id, position, *row) for position, row in enumerate(rows)),
            )

    def insert_passages(
        self, document: Document, passages: Sequence[Passage], vectors: Sequence[FloatArray]
    ) -> IdArray:
        """Store passages with their (1 + n_sentences, dimension) vectors; returns the new ids, (n,) int64."""
        ids = [
            self._insert_passage(document, passage, matrix)
            for passage, matrix in zip(passages, vectors, strict=True)
        ]
        return np.asarray(ids, dtype=np.int64)

    def _insert_passage(self, document: Document, passage: Passage, matrix: FloatArray) -> int:
        cursor = self._writer.execute(
            """INSERT INTO passages
               (document_id, start, end, section, prefix, spans, vector, sentence_vectors)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (document.id, *_passage_row(passage, matrix)),
        )
        assert cursor.lastrowid is not None
        self._insert_terms(cursor.lastrowid, full_text(document.text, passage))
        return cursor.lastrowid

    def _insert_terms(self, passage_id: int, row: tuple[str, str]) -> None:
        self._writer.execute(
            "INSERT INTO passage_terms (rowid, prefix, body) VALUES (?, ?, ?)", (passage_id, *row)
        )

    def delete_passages(self, document_id: str) -> IdArray:
        """Delete a document's passages; returns the ids they had."""
        ids = self.passage_ids([document_id])
        rows = [(int(number),) for number in ids]
        self._writer.executemany("DELETE FROM passage_terms WHERE rowid = ?", rows)
        self._writer.executemany("DELETE FROM passages WHERE id = ?", rows)
        return ids

    def set_title(self, document_id: str, title: str) -> None:
        self._writer.execute("UPDATE documents SET title = ? WHERE id = ?", (title, document_id))
        for table in ("staged_documents", "staged_passages"):  # the title is part of what is embedded
            self._writer.execute(f"DELETE FROM {table} WHERE document_id = ?", (document_id,))

    def delete_document(self, document_id: str) -> IdArray:
        """Delete a document and all that was derived from it; returns the ids that its passages had."""
        ids = self.delete_passages(document_id)
        self._writer.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        return ids

    # Sources: the files of watched folders, and what they brought

    def sources(self, folder: Path) -> dict[Path, str]:
        """For every file in the watched folder, at any depth, that brought a document, the document's id."""
        first = os.fsencode(f"{folder}{os.sep}".replace(os.sep * 2, os.sep))
        after = first[:-1] + bytes([first[-1] + 1])
        rows = self.rows(
            "SELECT path, document_id FROM sources WHERE path >= ? AND path < ? ORDER BY path", first, after
        )
        return {Path(os.fsdecode(path)): str(document_id) for path, document_id in rows}

    def source(self, path: Path) -> str | None:
        """The document that this file of a watched folder brought."""
        rows = self.rows("SELECT document_id FROM sources WHERE path = ?", os.fsencode(path))
        return str(rows[0][0]) if rows else None

    def sources_of(self, document_id: str) -> tuple[Path, ...]:
        """The files of watched folders that brought this document."""
        rows = self.rows("SELECT path FROM sources WHERE document_id = ? ORDER BY path", document_id)
        return tuple(Path(os.fsdecode(path)) for (path,) in rows)

    def set_source(self, path: Path, document_id: str) -> None:
        self._writer.execute("INSERT OR REPLACE INTO sources VALUES (?, ?)", (os.fsencode(path), document_id))

    def release(self, path: Path) -> str | None:
        """Forget what this file brought; returns the document's id when no other file brought it too."""
        rows = self._writer.execute(
            "DELETE FROM sources WHERE path = ? RETURNING document_id", (os.fsencode(path),)
        ).fetchall()
        freed = [str(document_id) for (document_id,) in rows if not self.sources_of(document_id)]
        return freed[0] if freed else None

    # Staging: passages embedded anew, beside those that serve

    def begin_staging(self, manifest: str) -> None:
        """Go on with what is staged for this manifest; drop what is staged for another one."""
        if self.meta("staged") != manifest:
            self._writer.execute("DELETE FROM staged_documents")
            self._writer.execute("DELETE FROM staged_passages")
            self.set_meta("staged", manifest)

    def unstaged(self) -> list[str]:
        """Ids of the documents that are not wholly staged, oldest first."""
        rows = self.rows(
            """SELECT id FROM documents WHERE id NOT IN (SELECT document_id FROM staged_documents)
               ORDER BY number"""
        )
        return [str(document_id) for (document_id,) in rows]

    def staged_count(self, document_id: str | None = None) -> int:
        """How many passages are staged, of this document or of all."""
        clause, arguments = ("", []) if document_id is None else ("WHERE document_id = ?", [document_id])
        return int(self.rows(f"SELECT count(*) FROM staged_passages {clause}", *arguments)[0][0])

    def stage(
        self, document: Document, first: int, passages: Sequence[Passage], vectors: Sequence[FloatArray]
    ) -> None:
        """Stage a document's passages from number `first` on, with their vectors as in `insert_passages`."""
        marks = ", ".join("?" * 11)
        self._writer.executemany(
            f"INSERT INTO staged_passages VALUES ({marks})",
            (
                (document.id, number, *_passage_row(passage, matrix), *full_text(document.text, passage))
                for number, (passage, matrix) in enumerate(zip(passages, vectors, strict=True), first)
            ),
        )

    def finish_staging(self, document_id: str) -> None:
        """Every passage of this document is staged."""
        self._writer.execute("INSERT OR IGNORE INTO staged_documents VALUES (?)", (document_id,))

    def adopt_staged(self) -> None:
        """Put what is staged in the place of every passage, under new ids in the order of the documents."""
        self._writer.execute("DELETE FROM passages")
        self._writer.execute("DELETE FROM passage_terms")
        order = "row_number() OVER (ORDER BY number, position)"
        staged = "staged_passages JOIN documents ON documents.id = document_id"
        ((last,),) = self._writer.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'passages'"
        )
        self._writer.execute(
            f"""INSERT INTO passages
                SELECT {last} + {order}, document_id, start, end, section, prefix, spans, vector,
                       sentence_vectors
                FROM {staged}"""
        )
        self._writer.execute(
            f"""INSERT INTO passage_terms (rowid, prefix, body)
                SELECT {last} + {order}, prefix_terms, body_terms FROM {staged}"""
        )
        self.begin_staging("")

    # Documents

    def records(self) -> tuple[DocumentRecord, ...]:
        rows = self.rows(
            """SELECT id, title, name, added,
                      (SELECT count(*) FROM sentences WHERE document_id = documents.id), length(text)
               FROM documents ORDER BY number"""
        )
        return tuple(DocumentRecord(*row) for row in rows)

    def has(self, document_id: str) -> bool:
        return bool(self.rows("SELECT 1 FROM documents WHERE id = ?", document_id))

    def require(self, document_id: str) -> None:
        """Raises DocumentNotFoundError."""
        self.title(document_id)

    def title(self, document_id: str) -> str:
        """Raises DocumentNotFoundError."""
        return str(self._entry("title", document_id)[0])

    def place_in_list(self, document_id: str) -> tuple[int, str]:
        """The document's number and when it was added. Raises DocumentNotFoundError."""
        number, added = self._entry("number, added", document_id)
        return int(number), str(added)

    def _entry(self, columns: str, document_id: str) -> tuple[Any, ...]:
        rows = self.rows(f"SELECT {columns} FROM documents WHERE id = ?", document_id)
        if not rows:
            raise DocumentNotFoundError(
                f"no document {document_id[:80]!r} in the library; `quoth list` shows what is there"
            )
        return rows[0]

    def document(self, document_id: str) -> Document:
        """Raises DocumentNotFoundError."""
        with self.reading():
            title, text, name = self._entry("title, text, name", document_id)
            sections = self._structure(
                "heading, level, path, start, end, heading_start, heading_end", "sections", document_id
            )
            blocks = self._structure("kind, start, end, section, label_start, context", "blocks", document_id)
            sentences = self._structure("start, end, block", "sentences", document_id)
            places = self._structure("start, label", "places", document_id)
        return Document(
            document_id,
            title,
            text,
            tuple(Section(row[0], row[1], tuple(json.loads(row[2])), *row[3:]) for row in sections),
            tuple(Block(*row) for row in blocks),
            tuple(Sentence(*row) for row in sentences),
            name,
            tuple(Place(*row) for row in places),
        )

    def _structure(self, columns: str, table: str, document_id: str) -> list[tuple[Any, ...]]:
        return self.rows(
            f"SELECT {columns} FROM {table} WHERE document_id = ? ORDER BY position",
            document_id,
        )

    # Passages

    def passage_ids(self, documents: Sequence[str]) -> IdArray:
        """Ids of the documents' passages, ascending, (n,) int64."""
        rows = self.rows(
            """SELECT id FROM passages WHERE document_id IN (SELECT value FROM json_each(?)) ORDER BY id""",
            json.dumps(list(documents)),
        )
        return np.asarray([row[0] for row in rows], dtype=np.int64)

    def passages_of(self, document_id: str) -> list[StoredPassage]:
        """A document's passages, in the order of their ids. Those that full text lacks are here too."""
        rows = self.rows(
            f"""SELECT {_PASSAGE} FROM passages LEFT JOIN {_TERMS}
                WHERE document_id = ? ORDER BY passages.id""",
            document_id,
        )
        return [_stored_passage(row) for row in rows]

    def vectors(self) -> tuple[IdArray, FloatArray]:
        """Every passage's id and vector: (n,) int64 and (n, dimension) float32."""
        rows = self.rows("SELECT id, vector FROM passages ORDER BY id")
        ids = np.asarray([row[0] for row in rows], dtype=np.int64)
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4")
        return ids, matrix.reshape(len(rows), -1) if rows else np.zeros((0, self._dimension()), np.float32)

    def _dimension(self) -> int:
        return int(self.meta("dimension") or 1)

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """The passages with these ids, in this order; ids that are gone by now are left out."""
        rows = self.rows(
            f"""SELECT {_PASSAGE} FROM passages JOIN {_TERMS}
                WHERE passages.id IN (SELECT value FROM json_each(?))""",
            json.dumps([int(number) for number in ids]),
        )
        found = {row[0]: _stored_passage(row) for row in rows}
        return [found[number] for number in ids if number in found]

    def matching(
        self, query: Sequence[str], k: int, documents: Sequence[str] | None
    ) -> list[tuple[int, float]]:
        """The `k` best (passage id, BM25 score > 0) for any of the index terms, best first, ties by id."""
        if not query:
            return []
        chosen, arguments = _among(documents)
        rows = self.rows(
            f"""SELECT rowid, -bm25(passage_terms, ?, 1.0) AS score FROM passage_terms
                WHERE passage_terms MATCH ? {chosen} ORDER BY score DESC, rowid LIMIT ?""",
            _PREFIX_WEIGHT,
            " OR ".join(f'"{term}"' for term in query),
            *arguments,
            k,
        )
        return [(int(number), float(score)) for number, score in rows]

    def passage_count(self, documents: Sequence[str] | None) -> int:
        chosen, arguments = _among(documents, "id")
        return int(self.rows(f"SELECT count(*) FROM passages WHERE 1 {chosen}", *arguments)[0][0])

    def document_frequency(self, query: Sequence[str], documents: Sequence[str] | None) -> dict[str, int]:
        """In how many passages (of these documents) each index term occurs."""
        if documents is None:
            rows = self.rows(
                "SELECT term, doc FROM passage_vocabulary WHERE term IN (SELECT value FROM json_each(?))",
                json.dumps(list(query)),
            )
            return dict.fromkeys(query, 0) | {str(term): int(count) for term, count in rows}
        return {term: self._matches(term, documents) for term in query}

    def _matches(self, term: str, documents: Sequence[str]) -> int:
        chosen, arguments = _among(documents)
        statement = f"SELECT count(*) FROM passage_terms WHERE passage_terms MATCH ? {chosen}"
        return int(self.rows(statement, f'"{term}"', *arguments)[0][0])

    # Full text is derived from the rest

    def full_text_in_step(self) -> bool:
        """Whether the index of full text is that of its rows."""
        with self.writing():
            try:
                self._writer.execute("INSERT INTO passage_terms (passage_terms) VALUES ('integrity-check')")
            except sqlite3.DatabaseError as error:
                if _primary_code(error) != sqlite3.SQLITE_CORRUPT:
                    raise
                return False
        return True

    def rebuild_full_text(self) -> None:
        """Make the table of full text anew, from the texts and the passages' ranges."""
        ((definition,),) = self.rows("SELECT sql FROM sqlite_master WHERE name = 'passage_terms'")
        self._writer.execute("DROP TABLE passage_terms")
        self._writer.execute(definition)
        for record in self.records():
            text = self.document(record.id).text
            for stored in self.passages_of(record.id):
                self._insert_terms(stored.id, full_text(text, stored.passage))

    # Feedback

    def insert_feedback(self, feedback: Feedback, given: str, quoth: str, model: str) -> FeedbackRecord:
        values = (
            given,
            feedback.verdict,
            feedback.question,
            feedback.resolved_question,
            json.dumps(feedback.documents),
            feedback.answered,
            feedback.confidence,
            json.dumps([astuple(excerpt) for excerpt in feedback.shown]),
            json.dumps(None if feedback.answer is None else astuple(feedback.answer)),
            feedback.reader,
            quoth,
            model,
        )
        marks = ", ".join("?" * len(values))
        number = self._writer.execute(f"INSERT INTO feedback VALUES (NULL, {marks})", values).lastrowid
        return _feedback_record((number, *values))

    def feedback(self) -> tuple[FeedbackRecord, ...]:
        """Oldest first."""
        return tuple(map(_feedback_record, self.rows("SELECT * FROM feedback ORDER BY number")))

    # SQLite

    def _migrate(self) -> None:
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise LibraryTooNewError(
                f"the library {self.folder} was written by a newer version of Quoth (schema {version}, "
                f"this one knows {len(MIGRATIONS)}); upgrade Quoth or choose another folder with --library"
            )
        if version == len(MIGRATIONS):
            return
        for number in range(version, len(MIGRATIONS)):
            self._writer.executescript(
                f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _library_error(self.folder, error) from error
        except Timeout as error:
            raise busy(self.folder) from error
        except OSError as error:
            raise LibraryUnreadableError(
                f"cannot use the library folder {self.folder}: {error.strerror}; "
                f"choose a folder you can write to with --library"
            ) from error


def require_library(folder: Path) -> None:
    """Raises LibraryMissingError unless there is a library in the folder; opening it would make one."""
    if not (folder / DATABASE).is_file():
        raise LibraryMissingError(f"there is no library in {folder}; choose its folder with --library")


def connect(folder: Path) -> sqlite3.Connection:
    """A connection to the folder's database, which is created when missing."""
    connection = sqlite3.connect(
        folder / DATABASE, timeout=WRITE_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def busy(folder: Path) -> LibraryBusyError:
    """What to say when another process kept writing."""
    return LibraryBusyError(
        f"another process is writing to the library {folder} and did not finish within "
        f"{WRITE_TIMEOUT_SECONDS:.0f} s; try again when it is done"
    )


def _library_error(folder: Path, error: sqlite3.Error) -> LibraryError:
    match _primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return busy(folder)
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return LibraryDamagedError(
                f"the database {folder / DATABASE} is damaged ({error}); put a backup in its place "
                f"(quoth restore --force FILE), or move it away and add the documents again"
            )
        case sqlite3.SQLITE_FULL:
            return LibraryFullError(f"the disk with the library {folder} is full; make room and try again")
    return LibraryUnreadableError(
        f"cannot use the library {folder}: {error}; check that the folder can be read and written, "
        f"or choose another with --library"
    )


def _file_identity(path: Path) -> tuple[int, int] | None:
    """What tells this file from any other that stands at its path; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def full_text(text: str, passage: Passage) -> tuple[str, str]:
    """What full text knows of a passage of this text: the index terms of its prefix and of its body."""
    body = _SENTENCE_BREAK.join(" ".join(terms(text[start:end])) for start, end in passage.spans)
    return " ".join(terms(passage.prefix)), body


def _passage_row(passage: Passage, matrix: FloatArray) -> tuple[Any, ...]:
    return (
        passage.start,
        passage.end,
        passage.section,
        passage.prefix,
        json.dumps(passage.spans),
        matrix[0].astype("<f4").tobytes(),
        matrix[1:].astype("<f2").tobytes(),
    )


def _primary_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)  # the module's own complaints have none
    return None if code is None else code & 0xFF


def _section_row(section: Section) -> tuple[Any, ...]:
    path = json.dumps(section.path, ensure_ascii=False)
    return (section.heading, section.level, path, *astuple(section)[3:])


def _feedback_record(row: tuple[Any, ...]) -> FeedbackRecord:
    number, given, *said, quoth, model = row
    verdict, question, resolved, documents, answered, confidence, shown, answer, reader = said
    excerpt = json.loads(answer)
    return FeedbackRecord(
        verdict,
        question,
        resolved,
        tuple(json.loads(documents)),
        bool(answered),
        confidence,
        tuple(Excerpt(*each) for each in json.loads(shown)),
        None if excerpt is None else Excerpt(*excerpt),
        reader,
        number=number,
        given=given,
        quoth=quoth,
        model=model,
    )


def _among(documents: Sequence[str] | None, column: str = "+rowid") -> tuple[str, list[str]]:
    """The clause that restricts passages to documents, and its arguments.

    The plus keeps SQLite from looking every passage of the documents up in the full text one by one: it
    finds what matches first, and then asks to which document each belongs.
    """
    if documents is None:
        return "", []
    clause = f"""AND {column} IN (SELECT id FROM passages
                 WHERE document_id IN (SELECT value FROM json_each(?)))"""
    return clause, [json.dumps(list(documents))]


def _stored_passage(row: tuple[Any, ...]) -> StoredPassage:
    number, document_id, start, end, section, prefix, spans, vector, sentence_vectors, prefix_terms, body = (
        row
    )
    passage = Passage(
        document_id, start, end, section, prefix, tuple((first, last) for first, last in json.loads(spans))
    )
    matrix = np.frombuffer(sentence_vectors, dtype="<f2").astype(np.float32)
    return StoredPassage(
        number,
        passage,
        np.frombuffer(vector, dtype="<f4"),
        matrix.reshape(len(passage.spans), -1),
        tuple(prefix_terms.split()),
        tuple(tuple(sentence.split(" ")) if sentence else () for sentence in body.split(_SENTENCE_BREAK)),
    )
