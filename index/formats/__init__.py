"""A file's bytes become `Parsed`: one file per format, one table from suffix to parser."""

from __future__ import annotations

import re
from collections.abc import Callable

from index.document import UNQUOTABLE, Parsed, one_line
from index.errors import DocumentError, EmptyDocumentError, UnsupportedFormatError
from index.formats.decoding import decode
from index.formats.docx import parse_docx
from index.formats.epub import parse_epub
from index.formats.markdown import parse_markdown
from index.formats.odt import parse_odt
from index.formats.pairs import parse_csv, parse_json, parse_tsv
from index.formats.rtf import parse_rtf
from index.formats.subtitles import parse_subtitles
from index.formats.text import parse_text

Parser = Callable[[bytes], Parsed]


def _decoded(parser: Callable[[str], Parsed]) -> Parser:
    return lambda data: parser(decode(data))


PARSERS: dict[str, Parser] = {
    ".txt": _decoded(parse_text),
    ".text": _decoded(parse_text),
    ".md": _decoded(parse_markdown),
    ".markdown": _decoded(parse_markdown),
    ".docx": parse_docx,
    ".odt": parse_odt,
    ".rtf": parse_rtf,
    ".epub": parse_epub,
    ".srt": _decoded(parse_subtitles),
    ".vtt": _decoded(parse_subtitles),
    ".csv": _decoded(parse_csv),
    ".tsv": _decoded(parse_tsv),
    ".json": _decoded(parse_json),
    ".jsonl": _decoded(parse_json),
}

_SUFFIX = re.compile(r"\.[a-z][a-z0-9]*$")
_WORD = re.compile(r"\w")


def parse(data: bytes, name: str) -> Parsed:
    """The text and parts of the file called `name`; a name without a suffix is tried as plain text.

    Raises UnsupportedFormatError, NotTextError, UnreadableFileError or EmptyDocumentError; the message begins
    with the name.
    """
    try:
        parsed = _parser(name)(data)
        _check_quotable(parsed)
    except DocumentError as error:
        raise type(error)(f"{one_line(name)}: {error}") from None
    return parsed


def _parser(name: str) -> Parser:
    suffix = _SUFFIX.search(name.lower())
    if suffix is None:
        return PARSERS[".txt"]
    if suffix[0] not in PARSERS:
        raise UnsupportedFormatError(f"no parser for {suffix[0]}; Quoth reads {', '.join(PARSERS)}")
    return PARSERS[suffix[0]]


def _check_quotable(parsed: Parsed) -> None:
    quotable = (part for part in parsed.parts if part.kind not in {"title", "heading", *UNQUOTABLE})
    if not any(_WORD.search(parsed.text, part.start, part.end) for part in quotable):
        raise EmptyDocumentError("nothing in this file could be quoted: no text outside of headings")
