"""Is the library whole? Every check is a line; what is derived can be built again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from index.document import Document
from index.embedding import BUNDLED_SHA256, Embedder, check_bundled
from index.errors import QuothError
from index.store import MIGRATIONS, Store, StoredPassage, full_text

NORM_TOLERANCE = 0.01
"""A stored vector's length may differ from 1 by this much: those of sentences have half precision."""

EMBED_AGAIN = "; run: quoth reindex"


class FaultError(Exception):
    """Something is not as it should be, in one line."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, whether it is as it should be, and what was found, in one line."""

    name: str
    ok: bool
    detail: str
    derived: bool = False  # from what the other checks look at, so that it can be built again


def run_check(name: str, examine: Callable[[], str], *, derived: bool = False) -> Check:
    """The check that an examination amounts to: it says what it found, or raises a FaultError."""
    try:
        return Check(name, True, examine(), derived)
    except (FaultError, QuothError) as fault:
        return Check(name, False, str(fault), derived)
    except (ValueError, TypeError, IndexError) as error:  # rows that do not hold what they should
        return Check(name, False, f"unreadable rows ({type(error).__name__}: {error})", derived)


def check_database(store: Store) -> tuple[Check, ...]:
    """Everything that the database says about itself; all but the last check are of one state of it."""
    with store.reading():
        checks = (
            run_check("schema", lambda: _schema(store)),
            run_check("integrity", lambda: _integrity(store)),
            run_check("references", lambda: _references(store)),
            run_check("documents", lambda: _documents(store)),
            run_check("passages", lambda: _passages(store)),
            run_check("feedback", lambda: _feedback(store)),
            run_check("full text", lambda: _full_text(store), derived=True),
        )
    return (*checks, run_check("full-text index", lambda: _full_text_index(store), derived=True))


def check_weights(embedder: Embedder) -> Check:
    """Whether the model's weights are the pinned ones."""
    return run_check("weights", lambda: _weights(embedder))


def _weights(embedder: Embedder) -> str:
    if embedder.fingerprint != BUNDLED_SHA256:
        return f"{embedder.name} is not the bundled model: nothing pins its weights"
    check_bundled()
    return f"{embedder.name}, SHA-256 {BUNDLED_SHA256[:12]}…"


def _schema(store: Store) -> str:
    ((version,),) = store.rows("PRAGMA user_version")
    if version != len(MIGRATIONS):
        raise FaultError(f"version {version}, but this Quoth writes {len(MIGRATIONS)}")
    return f"version {version}"


def _integrity(store: Store) -> str:
    _raise_first(str(line) for (line,) in store.rows("PRAGMA integrity_check") if line != "ok")
    return "every page of the database is sound"


def _references(store: Store) -> str:
    orphans = store.rows("PRAGMA foreign_key_check")
    _raise_first(f"a row of {table} belongs to no {parent} row" for table, _, parent, _ in orphans)
    return "no row without its document"


def _documents(store: Store) -> str:
    records = store.records()
    for record in records:
        _raise_first(f"{record.id}: {fault}" for fault in _range_faults(store.document(record.id)))
    sentences = sum(record.n_sentences for record in records)
    return f"{len(records)} with {sentences} sentences, each inside its text"


def _range_faults(document: Document) -> Iterator[str]:
    """What of the structure does not lie in the text, or points to what is not there."""
    size, sections, blocks = len(document.text), document.sections, document.blocks
    ranges = {
        "section": [(section.start, section.end) for section in sections],
        "heading": [(section.heading_start, section.heading_end) for section in sections],
        "block": [(block.label_start, block.end) for block in blocks],
        "sentence": [(sentence.start, sentence.end) for sentence in document.sentences],
        "place": [(place.start, place.start) for place in document.places],
    }
    for kind, spans in ranges.items():
        yield from (f"{kind} {span} leaves the text" for span in spans if not 0 <= span[0] <= span[1] <= size)
    for (_, end), (start, _) in pairwise(ranges["sentence"]):
        if start < end:
            yield f"sentences overlap at {start}"
    pointers = [(block.section, len(sections)) for block in blocks]
    pointers += [(block.context, len(blocks)) for block in blocks if block.context is not None]
    pointers += [(sentence.block, len(blocks)) for sentence in document.sentences]
    yield from (f"there is no number {at}" for at, count in pointers if not 0 <= at < count)


def _passages(store: Store) -> str:
    dimension = int(store.meta("dimension") or 0)
    count = 0
    for record in store.records():
        document = store.document(record.id)
        for stored in store.passages_of(record.id):
            count += 1
            _raise_first(
                f"{record.id}: {fault}{EMBED_AGAIN}" for fault in _faults(document, stored, dimension)
            )
    return f"{count}, each inside its document, with vectors of {dimension} numbers"


def _faults(document: Document, stored: StoredPassage, dimension: int) -> Iterator[str]:
    passage = stored.passage
    if not 0 <= passage.start < passage.end <= len(document.text):
        yield f"passage {passage.start}:{passage.end} leaves the text"
    if any(not passage.start <= start < end <= passage.end for start, end in passage.spans):
        yield f"a sentence leaves passage {passage.start}:{passage.end}"
    if not 0 <= passage.section < len(document.sections):
        yield f"passage {passage.start}:{passage.end} has no section"
    shapes = (stored.vector.shape, stored.sentence_vectors.shape)
    if shapes != ((dimension,), (len(passage.spans), dimension)):
        yield f"passage {passage.start}:{passage.end} has vectors of another size"
        return
    lengths = np.linalg.norm(np.vstack([stored.vector, stored.sentence_vectors]), axis=1)
    if not (abs(lengths - 1) < NORM_TOLERANCE).all():  # not so for NaN either
        yield f"passage {passage.start}:{passage.end} has a vector that is not of unit length"


def _feedback(store: Store) -> str:
    given = store.feedback()
    documents = {record.id: store.document(record.id) for record in store.records()} if given else {}
    excerpts = [each for entry in given for each in entry.excerpts if each.document_id in documents]
    changed = sum(not each.stands_in(documents[each.document_id]) for each in excerpts)
    return f"{len(given)} entries, {changed} of their {len(excerpts)} quotes no longer where they were"


def _full_text(store: Store) -> str:
    ((passages,),) = store.rows("SELECT count(*) FROM passages")
    rows = store.rows("SELECT rowid, prefix, body FROM passage_terms")
    found = {number: (prefix, body) for number, prefix, body in rows}
    if len(found) != passages:
        raise FaultError(f"{len(found)} rows for {passages} passages")
    for record in store.records():
        text = store.document(record.id).text
        wrong = (
            f"the row of passage {stored.id} is missing or not what the text says"
            for stored in store.passages_of(record.id)
            if found.get(stored.id) != full_text(text, stored.passage)
        )
        _raise_first(wrong)
    return f"{passages} rows, one for each passage"


def _full_text_index(store: Store) -> str:
    if not store.full_text_in_step():
        raise FaultError("out of step with its rows")
    return "in step with its rows"


def _raise_first(faults: Iterable[str]) -> None:
    for fault in faults:
        raise FaultError(fault)
