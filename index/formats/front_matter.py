"""The header of a Markdown file ("front matter"), in YAML or, between lines of "+++", in TOML."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import Any

import yaml

from index.document import one_line

MAX_CHARS = 20_000
"""A longer header is none: YAML is slow to read, and nobody writes that much."""

_HEADER = re.compile(
    r"(?:---[ \t]*\n(.*?\n)(?:---|\.\.\.)|\+\+\+[ \t]*\n(.*?\n)\+\+\+)[ \t]*(?:\n|\Z)", re.DOTALL
)

SHOWN = (
    "author",
    "authors",
    "by",
    "date",
    "published",
    "updated",
    "description",
    "summary",
    "tags",
    "version",
)
"""What a reader may ask for; the other fields are for the site's generator."""


def split_front_matter(source: str) -> tuple[dict[str, str], str]:
    """The fields of the header as text (keys in lower case), and the source without the header.

    Without a header, or when it is no valid mapping, there are no fields and the source stays whole.
    """
    header = _HEADER.match(source, 0, MAX_CHARS)
    if header is None:
        return {}, source
    try:
        loaded = _load(*header.groups())
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError):
        return {}, source
    if not isinstance(loaded, dict):
        return {}, source
    fields = {str(key).casefold(): _as_text(value) for key, value in loaded.items()}
    return {key: value for key, value in fields.items() if value}, source[header.end() :]


def _load(in_yaml: str | None, in_toml: str | None) -> Any:
    if in_toml is not None:
        return tomllib.loads(in_toml)
    # BaseLoader makes nothing but strings, lists and dictionaries: "date: 2024-02-30" is no error.
    return yaml.load(in_yaml or "", Loader=yaml.BaseLoader)


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(one_line(item) for item in value if isinstance(item, str))
    return one_line(str(value)) if isinstance(value, str | date) else ""
