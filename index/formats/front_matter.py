"""The YAML header of a Markdown file ("front matter")."""

from __future__ import annotations

import re
from typing import Any

import yaml

from index.document import one_line

MAX_CHARS = 20_000
"""A longer header is none: YAML is slow to read, and nobody writes that much."""

_HEADER = re.compile(r"---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)

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

    Without a header, or when it is no valid YAML mapping, there are no fields and the source stays whole.
    """
    header = _HEADER.match(source, 0, MAX_CHARS)
    if header is None:
        return {}, source
    try:
        # BaseLoader makes nothing but strings, lists and dictionaries: "date: 2024-02-30" is no error.
        loaded = yaml.load(header[1], Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError):
        return {}, source
    if not isinstance(loaded, dict):
        return {}, source
    fields = {str(key).casefold(): _as_text(value) for key, value in loaded.items()}
    return {key: value for key, value in fields.items() if value}, source[header.end() :]


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(one_line(item) for item in value if isinstance(item, str))
    return one_line(value) if isinstance(value, str) else ""
