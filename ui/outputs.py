"""What the commands print with `--json`: one table feeds them, `quoth schema` and the documentation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Annotated, Any

import click
from pydantic import BeforeValidator, ConfigDict, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from index import DocumentRecord, FeedbackRecord, Section
from index.health import Check as HealthCheck
from index.watching import Event
from rag.record import CitedAnswer
from rag.retrieval import Found
from rag.verification import Check as QuoteCheck
from rag.verification import Location

_ALL_FIELDS = ConfigDict(extra="forbid")

Share = Annotated[
    float | None, BeforeValidator(lambda value: None if value is None or isnan(value) else value)
]
"""A number from 0 to 1; null (JSON has no NaN) where there was nothing to count."""


@dataclass(frozen=True, slots=True)
class Verification:
    """How many quotes came out how, and what became of each."""

    right: int
    moved: int
    changed: int
    missing: int
    checks: tuple[QuoteCheck, ...]


@dataclass(frozen=True, slots=True)
class AddedFile:
    """A file that is a document of the library now; `new` is false when it was one before."""

    file: str
    id: str
    title: str
    language: str | None  # ISO 639, where it is sure
    new: bool


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be added, and why in one line."""

    file: str
    error: str


@dataclass(frozen=True, slots=True)
class SectionOutline(Section):
    """A section, and how many sentences it holds without those of its subsections."""

    n_sentences: int


@dataclass(frozen=True, slots=True)
class Outline(DocumentRecord):
    """A document with its sections, in order."""

    sections: tuple[SectionOutline, ...]


@dataclass(frozen=True, slots=True)
class PlacedText(Location):
    """A piece of a document in its place: whole paragraphs, and those before and after it in its section."""

    place: str | None  # page or time in the source, where it has them
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """A document's new title."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Removed:
    """The ids of the documents that were removed."""

    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DocumentCount:
    """How many documents it concerned."""

    documents: int


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written, and its size."""

    file: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting as it applies now."""

    name: str
    variable: str
    value: bool | int | float | str | tuple[str, ...] | Path | None
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A measure with its 95 % interval."""

    value: Share
    low: Share
    high: Share


@dataclass(frozen=True, slots=True)
class RiskAtCoverage:
    """The share of wrong answers when only the most certain share of the questions is answered."""

    coverage: float
    risk: float


@dataclass(frozen=True, slots=True)
class StatedConfidence:
    """How often `n` answers of about this confidence were right."""

    confidence: float
    held: float
    n: int


@dataclass(frozen=True, slots=True)
class KindOfQuestion:
    """Questions of one kind and the share that came out right."""

    n: int
    right: float


@dataclass(frozen=True, slots=True)
class KindOfTurn:
    """Turns of one kind: how many are answerable, and shares of them."""

    answerable: int
    hit: Share
    ceiling: Share
    floor: Share
    decided_rightly: Share


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What questions with known answers say about the answers."""

    __pydantic_config__ = _ALL_FIELDS

    data: str
    documents: int
    questions: int
    unanswerable: int
    measures: dict[str, Interval]
    risk_coverage: tuple[RiskAtCoverage, ...]
    reliability: tuple[StatedConfidence, ...]
    by_kind: dict[str, KindOfQuestion]
    latency: dict[str, float]


@dataclass(frozen=True, slots=True)
class ConversationEvaluation:
    """What conversations with known answers say about the answers to follow-up questions."""

    __pydantic_config__ = _ALL_FIELDS

    data: str
    documents: int
    turns: int
    measures: dict[str, Interval]
    by_kind: dict[str, KindOfTurn]


OUTPUTS: dict[str, Any] = {
    "ask": CitedAnswer,
    "chat": CitedAnswer,  # one a line
    "search": tuple[Found, ...],
    "add": tuple[AddedFile | FailedFile, ...],
    "add --watch": Event,  # one a line
    "list": tuple[DocumentRecord, ...],
    "show": Outline,
    "show --at": PlacedText,
    "rename": Renamed,
    "remove": Removed,
    "verify": Verification,
    "feedback give": FeedbackRecord,
    "feedback list": tuple[FeedbackRecord, ...],
    "doctor": tuple[HealthCheck, ...],
    "backup": WrittenFile,
    "restore": DocumentCount,
    "reindex": DocumentCount,
    "eval": Evaluation,
    "eval --conversations": ConversationEvaluation,
    "settings": tuple[SettingValue, ...],
}
"""The type that a command prints, by the command and, where one changes the form, its option."""


class _Printed(GenerateJsonSchema):
    """The schema of what is printed, which has every field, also those with a default."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        return True


def json_schema(command: str) -> dict[str, Any]:
    """The JSON Schema of what the command prints. Raises KeyError for a command that prints no JSON."""
    schema = TypeAdapter(OUTPUTS[command]).json_schema(mode="serialization", schema_generator=_Printed)
    return {"$schema": _Printed.schema_dialect} | schema | {"title": f"quoth {command} --json"}


def print_json(command: str, value: object, *, indent: int | None = 2) -> None:
    """The value, which has to be of the command's type, as JSON: indented, or with None on one line.

    It is ASCII, so that no terminal and no pipe can change what was quoted.
    """
    output = TypeAdapter(OUTPUTS[command])
    printed = output.dump_python(output.validate_python(value), mode="json")
    click.echo(json.dumps(printed, indent=indent))
