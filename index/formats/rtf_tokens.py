"""RTF → tokens, as in the Rich Text Format Specification, version 1.9.1, and the encodings it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

_TOKEN = re.compile(
    rb"""\\(?P<word>[a-zA-Z]{1,40})(?P<number>-?\d{1,10})?[ ]?
       | \\'(?P<hex>[0-9a-fA-F]{2})
       | \\(?P<symbol>[^a-zA-Z])
       | (?P<brace>[{}])
       | (?P<text>[^\\{}\r\n]+)
       | [\r\n]+
       | \\
    """,
    re.VERBOSE | re.DOTALL,
)

CHARSETS = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
}
"""The encodings of fonts (\\fcharset) that have one of their own."""


class Token(NamedTuple):
    """A brace, a control word with its number, or bytes of text; a symbol is a control word of one sign."""

    kind: Literal["{", "}", "word", "text"]
    word: str = ""
    number: int | None = None
    text: bytes = b""


def tokens(data: bytes) -> Iterator[Token]:
    """The tokens of a file; binary data is passed over, and so are line ends, which mean nothing."""
    at = 0
    while match := _TOKEN.match(data, at):
        at = match.end()
        if match["word"]:
            number = int(match["number"]) if match["number"] else None
            if match["word"] == b"bin":
                at += max(0, number or 0)
            yield Token("word", match["word"].decode(), number)
        elif match["hex"]:
            yield Token("text", text=bytes([int(match["hex"], 16)]))
        elif match["symbol"]:
            yield Token("word", match["symbol"].decode("latin-1"))
        elif match["brace"]:
            yield Token("{") if match["brace"] == b"{" else Token("}")
        elif match["text"]:
            yield Token("text", text=match["text"])
