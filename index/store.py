"""The library's SQLite database: documents, structure, passages with their vectors, full text.

Rows in, values out; nothing here knows models or files. One connection, guarded by a lock, serves all
threads: a read takes well under a millisecond. Writers of several processes take turns.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    LibraryError,
    LibraryTooNewError,
    LibraryUnreadableError,
)
from index.feedback import Excerpt, Feedback, FeedbackRecord
from index.passages import Passage
from index.vectors import IdArray

DATABASE = "quoth.db"
OPENING_LOCK = "opening.lock"
WRITE_TIMEOUT_SECONDS = 30.0

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
)
"""Schema steps, oldest first; the database's `user_version` is how many were applied. Append, never edit."""

_SENTENCE_BREAK = "\x1f"  # between the terms of two sentences in passage_terms; no term holds it
_PREFIX_WEIGHT = 1.0  # of the heading path beside the passage's own words, in BM25


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
        self._lock = threading.RLock()
        with self._translated():
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / OPENING_LOCK, timeout=WRITE_TIMEOUT_SECONDS):  # two may open a new library
                self._connection = _connect(folder)
                self._migrate()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # Meta

    def meta(self, key: str) -> str | None:
        found = self._rows("SELECT value FROM meta WHERE key = ?", key)
        return None if not found else str(found[0][0])

    def set_meta(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def generation(self) -> str:
        """Changes with every change of the passages; the FAISS file is stamped with it."""
        return self.meta("generation") or "0"

    # Writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of what is written inside, or none of it. Waits for other writers."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def advance_generation(self) -> str:
        """The new generation, valid once the transaction is through."""
        generation = uuid.uuid4().hex
        self.set_meta("generation", generation)
        return generation

    def insert_document(self, document: Document, added: str, number: int | None = None) -> bool:
        """False when another writer was first with the same content. `number` is its place in the list."""
        inserted = self._connection.execute(
            """INSERT OR IGNORE INTO documents (number, id, title, name, added, text)
               VALUES (?, ?, ?, ?, ?, ?)""",
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
            self._connection.executemany(
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
        cursor = self._connection.execute(
            """INSERT INTO passages
               (document_id, start, end, section, prefix, spans, vector, sentence_vectors)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                document.id,
                passage.start,
                passage.end,
                passage.section,
                passage.prefix,
                json.dumps(passage.spans),
                matrix[0].astype("<f4").tobytes(),
                matrix[1:].astype("<f2").tobytes(),
            ),
        )
        body = _SENTENCE_BREAK.join(" ".join(terms(document.text[start:end])) for start, end in passage.spans)
        self._connection.execute(
            "INSERT INTO passage_terms (rowid, prefix, body) VALUES (?, ?, ?)",
            (cursor.lastrowid, " ".join(terms(passage.prefix)), body),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def delete_passages(self, document_id: str) -> IdArray:
        """Delete a document's passages; returns the ids they had."""
        ids = self.passage_ids([document_id])
        rows = [(int(number),) for number in ids]
        self._connection.executemany("DELETE FROM passage_terms WHERE rowid = ?", rows)
        self._connection.executemany("DELETE FROM passages WHERE id = ?", rows)
        return ids

    def set_title(self, document_id: str, title: str) -> None:
        self._connection.execute("UPDATE documents SET title = ? WHERE id = ?", (title, document_id))

    def delete_document(self, document_id: str) -> None:
        self._connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))

    # Documents

    def records(self) -> tuple[DocumentRecord, ...]:
        rows = self._rows(
            """SELECT id, title, name, added,
                      (SELECT count(*) FROM sentences WHERE document_id = documents.id), length(text)
               FROM documents ORDER BY number"""
        )
        return tuple(DocumentRecord(*row) for row in rows)

    def has(self, document_id: str) -> bool:
        return bool(self._rows("SELECT 1 FROM documents WHERE id = ?", document_id))

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
        rows = self._rows(f"SELECT {columns} FROM documents WHERE id = ?", document_id)
        if not rows:
            raise DocumentNotFoundError(
                f"no document {document_id[:80]!r} in the library; `quoth list` shows what is there"
            )
        return rows[0]

    def document(self, document_id: str) -> Document:
        """Raises DocumentNotFoundError."""
        self.require(document_id)
        with self._lock:  # one state of the database for all the tables
            ((title, text, name),) = self._rows(
                "SELECT title, text, name FROM documents WHERE id = ?", document_id
            )
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
        return self._rows(
            f"SELECT {columns} FROM {table} WHERE document_id = ? ORDER BY position",
            document_id,
        )

    # Passages

    def passage_ids(self, documents: Sequence[str]) -> IdArray:
        """Ids of the documents' passages, ascending, (n,) int64."""
        rows = self._rows(
            """SELECT id FROM passages WHERE document_id IN (SELECT value FROM json_each(?)) ORDER BY id""",
            json.dumps(list(documents)),
        )
        return np.asarray([row[0] for row in rows], dtype=np.int64)

    def vectors(self) -> tuple[IdArray, FloatArray]:
        """Every passage's id and vector: (n,) int64 and (n, dimension) float32."""
        rows = self._rows("SELECT id, vector FROM passages ORDER BY id")
        ids = np.asarray([row[0] for row in rows], dtype=np.int64)
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4")
        return ids, matrix.reshape(len(rows), -1) if rows else np.zeros((0, self._dimension()), np.float32)

    def _dimension(self) -> int:
        return int(self.meta("dimension") or 1)

    def passages(self, ids: Sequence[int]) -> list[StoredPassage]:
        """The passages with these ids, in this order; ids that are gone by now are left out."""
        rows = self._rows(
            """SELECT passages.id, document_id, start, end, section, passages.prefix, spans, vector,
                      sentence_vectors, passage_terms.prefix, body
               FROM passages JOIN passage_terms ON passage_terms.rowid = passages.id
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
        rows = self._rows(
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
        return int(self._rows(f"SELECT count(*) FROM passages WHERE 1 {chosen}", *arguments)[0][0])

    def document_frequency(self, query: Sequence[str], documents: Sequence[str] | None) -> dict[str, int]:
        """In how many passages (of these documents) each index term occurs."""
        if documents is None:
            rows = self._rows(
                "SELECT term, doc FROM passage_vocabulary WHERE term IN (SELECT value FROM json_each(?))",
                json.dumps(list(query)),
            )
            return dict.fromkeys(query, 0) | {str(term): int(count) for term, count in rows}
        return {term: self._matches(term, documents) for term in query}

    def _matches(self, term: str, documents: Sequence[str]) -> int:
        chosen, arguments = _among(documents)
        statement = f"SELECT count(*) FROM passage_terms WHERE passage_terms MATCH ? {chosen}"
        return int(self._rows(statement, f'"{term}"', *arguments)[0][0])

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
        number = self._connection.execute(f"INSERT INTO feedback VALUES (NULL, {marks})", values).lastrowid
        return _feedback_record((number, *values))

    def feedback(self) -> tuple[FeedbackRecord, ...]:
        """Oldest first."""
        return tuple(map(_feedback_record, self._rows("SELECT * FROM feedback ORDER BY number")))

    # SQLite

    def _rows(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self._lock, self._translated():
            return self._connection.execute(statement, arguments).fetchall()

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise LibraryTooNewError(
                f"the library {self.folder} was written by a newer version of Quoth (schema {version}, "
                f"this one knows {len(MIGRATIONS)}); upgrade Quoth or choose another folder with --library"
            )
        if version == len(MIGRATIONS):
            return
        for number in range(version, len(MIGRATIONS)):
            self._connection.executescript(
                f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _library_error(self.folder, error) from error
        except Timeout as error:
            raise _busy(self.folder) from error
        except OSError as error:
            raise LibraryUnreadableError(
                f"cannot use the library folder {self.folder}: {error.strerror}; "
                f"choose a folder you can write to with --library"
            ) from error


def _connect(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        folder / DATABASE, timeout=WRITE_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _busy(folder: Path) -> LibraryBusyError:
    return LibraryBusyError(
        f"another process is writing to the library {folder} and did not finish within "
        f"{WRITE_TIMEOUT_SECONDS:.0f} s; try again when it is done"
    )


def _library_error(folder: Path, error: sqlite3.Error) -> LibraryError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    match primary:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return _busy(folder)
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return LibraryUnreadableError(
                f"the database {folder / DATABASE} is damaged ({error}); restore the folder from a backup, "
                f"or move it away and add the documents again"
            )
        case sqlite3.SQLITE_FULL:
            return LibraryError(f"the disk with the library {folder} is full; make room and try again")
    return LibraryUnreadableError(
        f"cannot use the library {folder}: {error}; check that the folder can be read and written, "
        f"or choose another with --library"
    )


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
