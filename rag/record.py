"""A conversation as JSON: what was asked and quoted, with all that verifying the quotes needs.

The file is `{"quoth": 1, "exported": time, "turns": [answer, …]}`; a turn is what `quoth ask --json` prints.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from index import Document, Library
from index.errors import RecordError
from rag.answer import Answer, Quote

FORMAT: Literal[1] = 1
MAX_RECORD_BYTES = 16 * 2**20
MAX_TURNS = 1_000
MAX_QUOTES = 20


@dataclass(frozen=True, slots=True)
class CitedQuote(Quote):
    """A quote that names its document, for where the id alone says nothing (any more)."""

    title: str = ""
    name: str = ""  # file name that the document came with


@dataclass(frozen=True, slots=True)
class CitedAnswer(Answer):
    """An answer whose quotes and leads name their documents."""

    quotes: Annotated[tuple[CitedQuote, ...], Field(max_length=MAX_QUOTES)] = ()
    leads: Annotated[tuple[CitedQuote, ...], Field(max_length=MAX_QUOTES)] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """An exported conversation, oldest turn first."""

    quoth: Literal[1]  # version of the format
    exported: str  # ISO 8601, UTC; empty for answers that were not exported as a conversation
    turns: Annotated[tuple[CitedAnswer, ...], Field(max_length=MAX_TURNS)]


_RECORD = TypeAdapter(Record)


def cited(answer: Answer, documents: Mapping[str, Document]) -> CitedAnswer:
    """The answer, its quotes naming their documents. `documents` holds every cited one by id."""
    own = _fields_of(answer, Answer)
    named = {kind: tuple(_cited(quote, documents) for quote in own[kind]) for kind in ("quotes", "leads")}
    return CitedAnswer(**own | named)


def sources(answer: Answer, library: Library) -> dict[str, Document]:
    """Every document that the answer quotes, by id. Raises DocumentNotFoundError for one removed since."""
    ids = {quote.document_id for quote in answer.quotes + answer.leads}
    return {document_id: library.document(document_id) for document_id in ids}


def _cited(quote: Quote, documents: Mapping[str, Document]) -> CitedQuote:
    document = documents[quote.document_id]
    return CitedQuote(**_fields_of(quote, Quote), title=document.title, name=document.name)


def _fields_of(value: Answer | Quote, kind: type[Answer | Quote]) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(kind)}


def to_json(answers: Iterable[Answer], documents: Mapping[str, Document]) -> str:
    """The conversation as a JSON file, which `read_record` reads. `documents` holds every cited one by id."""
    exported = datetime.now(UTC).isoformat(timespec="seconds")
    record = Record(FORMAT, exported, tuple(cited(answer, documents) for answer in answers))
    return json.dumps(asdict(record), ensure_ascii=False, indent=1)


def read_record(content: bytes, name: str) -> Record:
    """The conversation of a file with this content: an export, or what `ask --json` or `chat --json` printed.

    Whether the quotes are true is for `rag.verification` to say. `name` is the file's, for the error. Raises
    RecordError.
    """
    if len(content) > MAX_RECORD_BYTES:
        raise RecordError(f"{name} has more than {MAX_RECORD_BYTES // 2**20} MB, too much for a conversation")
    try:
        values = _values(content.removeprefix(BOM_UTF8))
        record = _RECORD.validate_python(_as_record(values, name))
    except ValidationError as error:
        raise _no_record(name, _first_fault(error)) from None
    except ValueError as error:
        raise _no_record(name, f"no JSON: {error}") from None
    return checked(record, name)


def checked(record: Record, name: str) -> Record:
    """The record, if its quotes hold something. `name` is for the error. Raises RecordError."""
    if not all(_is_sane(answer) for answer in record.turns):
        raise _no_record(name, "a quote is empty")
    return record


def _values(content: bytes) -> list[Any]:
    """The JSON value, or one from each line."""
    try:
        return [from_json(content, allow_inf_nan=False)]
    except ValueError:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        return [from_json(line, allow_inf_nan=False) for line in lines]


def _as_record(values: list[Any], name: str) -> Any:
    """The one value when it is a record; several, or one that says no version, are the answers of one."""
    first = values[0]
    version = first.get("quoth") if isinstance(first, dict) and len(values) == 1 else None
    if version is None:
        return {"quoth": FORMAT, "exported": "", "turns": values}
    if isinstance(version, int) and version > FORMAT:
        raise RecordError(f"{name} was written by a newer version of Quoth; upgrade Quoth to read it")
    return first


def _first_fault(error: ValidationError) -> str:
    """What is wrong where, without the value that was there."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"


def _no_record(name: str, reason: str) -> RecordError:
    return RecordError(
        f"{name} is neither a conversation that Quoth exported nor what `quoth ask --json` prints ({reason})"
    )


def _is_sane(answer: CitedAnswer) -> bool:
    return all(_is_sane_quote(quote) for quote in answer.quotes + answer.leads)


def _is_sane_quote(quote: CitedQuote) -> bool:
    spans = [span for span in ((quote.start, quote.end), quote.focus, quote.context) if span is not None]
    return quote.text != "" and all(start < end for start, end in spans)
