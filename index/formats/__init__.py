"""A file's bytes become `Parsed`: one file per format, one table from suffix to parser.

What the content says comes before what the name says.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from index.document import UNQUOTABLE, Parsed, one_line
from index.errors import DocumentError, EmptyDocumentError, NotTextError, UnsupportedFormatError
from index.formats.decoding import decode
from index.formats.docx import is_docx, parse_docx
from index.formats.epub import is_epub, parse_epub
from index.formats.html import is_html, parse_html
from index.formats.markdown import parse_markdown
from index.formats.odt import is_odt, parse_odt
from index.formats.pairs import parse_csv, parse_json, parse_tsv
from index.formats.pdf import is_pdf, parse_pdf
from index.formats.rtf import is_rtf, parse_rtf
from index.formats.subtitles import is_srt, is_vtt, parse_subtitles
from index.formats.text import parse_text

Parser = Callable[[bytes], Parsed]

BEGINNING = 4_096
"""Bytes of a text by which it is known for subtitles."""


def _decoded(parser: Callable[[str], Parsed]) -> Parser:
    return lambda data: parser(decode(data))


def _begins(is_format: Callable[[str], bool]) -> Callable[[bytes], bool]:
    """Whether the first kilobytes are text of the format."""
    return lambda data: is_format(data[:BEGINNING].decode("utf-8-sig", "replace").replace("\r\n", "\n"))


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
    ".html": parse_html,
    ".htm": parse_html,
    ".xhtml": parse_html,
    ".pdf": parse_pdf,
}

DETECTED: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (is_pdf, ".pdf"),
    (is_docx, ".docx"),
    (is_odt, ".odt"),
    (is_epub, ".epub"),
    (is_rtf, ".rtf"),
    (is_html, ".html"),
    (_begins(is_vtt), ".vtt"),
    (_begins(is_srt), ".srt"),
)
"""Formats that are known by their content, whatever the name says; the first that fits is taken."""

MARKED = frozenset({".pdf", ".docx", ".odt", ".epub", ".rtf"})
"""Formats whose files all bear a mark; a text without it that is called so is read as plain text."""

_SUFFIX = re.compile(r"\.[a-z][a-z0-9]*$")
_WORD = re.compile(r"\w")


def parse(data: bytes, name: str) -> Parsed:
    """The text and parts of the file called `name`; a name without a suffix is tried as plain text.

    Raises UnsupportedFormatError, NotTextError, UnreadableFileError or EmptyDocumentError; the message begins
    with the name.
    """
    try:
        parsed = PARSERS[_format(data, name)](data)
        _check_quotable(parsed)
    except DocumentError as error:
        hint = f"; {_readable()}" if isinstance(error, NotTextError) else ""
        raise type(error)(f"{one_line(name)}: {error}{hint}") from None
    return parsed


def _format(data: bytes, name: str) -> str:
    """The suffix of the format that a file has."""
    for is_format, suffix in DETECTED:
        if is_format(data):
            return suffix
    named = _SUFFIX.search(name.lower())
    if named is None or (named[0] in MARKED and _is_text(data)):
        return ".txt"
    if named[0] not in PARSERS:
        raise UnsupportedFormatError(f"no parser for {named[0]}; {_readable()}")
    return named[0]


def _is_text(data: bytes) -> bool:
    try:
        decode(data)
    except NotTextError:
        return False
    return True


def _readable() -> str:
    return f"Quoth reads {', '.join(PARSERS)}"


def _check_quotable(parsed: Parsed) -> None:
    quotable = (part for part in parsed.parts if part.kind not in {"title", "heading", *UNQUOTABLE})
    if not any(_WORD.search(parsed.text, part.start, part.end) for part in quotable):
        raise EmptyDocumentError("nothing in this file could be quoted: no text outside of headings")
