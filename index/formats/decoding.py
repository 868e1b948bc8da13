"""Bytes → text: which encoding, is it text at all, and `\\n` line ends."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from index.errors import NotTextError

# Longest first: the mark of UTF-32-LE begins with that of UTF-16-LE.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"{\\rtf", "a rich text (RTF) document"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"BZh91AY&SY", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"ID3\x03", "an audio file"),
    (b"OggS\x00", "an audio file"),
)

SAMPLE_BYTES = 65_536
"""As much as is looked at to guess an encoding."""

MAX_CONTROL_SHARE = 0.02
"""More control characters than this and the bytes are no text (random bytes have about 0.1)."""

MAX_BROKEN_SHARE = 0.01
"""The most characters that may be undecodable in a file whose byte order mark names its encoding."""

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"

# Where a fifth of the bytes are no ASCII, the script is not Latin, and Windows-1252 would be gibberish.
_MIN_FOREIGN_SHARE = 0.2
_MIN_FOREIGN_BYTES = 64
_FOREIGN_ENCODINGS = [
    "cp1251",
    "koi8_r",
    "cp1253",
    "cp1255",
    "cp1256",
    "shift_jis",
    "euc_jp",
    "gb18030",
    "big5",
    "euc_kr",
]

_DECLARABLE = re.compile(
    r"iso-?8859-(?:\d+)|(?:windows-|cp)125\d|koi8-[ru]|shift_jis|sjis|euc-(?:jp|kr)|gb(?:k|2312|18030)|big5",
    re.IGNORECASE,
)
_LATIN_1 = frozenset(("iso-8859-1", "iso8859-1"))

_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")


def decode(data: bytes, declared: str | None = None) -> str:
    """The text of a file, without byte order mark, with `\\n` for every kind of line end.

    A byte order mark decides; else UTF-16 when every other byte is zero, UTF-8 when it is valid (or broken
    in a few places only), the encoding `declared` in the file, one of the usual encodings of another script
    when most bytes are not ASCII, and Windows-1252 otherwise. All other code points stay as they are. Raises
    NotTextError.
    """
    return _LINE_END.sub("\n", _decode(data, declared))


def tidy(text: str) -> str:
    """Text that escapes inside a file spell out, as `decode` leaves it: no `\\r`, NUL or lone surrogate."""
    return _LINE_END.sub("\n", text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8"))


def _decode(data: bytes, declared: str | None) -> str:
    for magic, what in _MAGIC:
        if data.startswith(magic):
            raise NotTextError(f"this is {what}, not a text")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decode_marked(data[len(mark) :], encoding)
    return _decode_unmarked(data, declared)


def _decode_marked(data: bytes, encoding: str) -> str:
    text = data.decode(encoding, errors="replace")
    if "\0" in text or text.count("\ufffd") > max(1, MAX_BROKEN_SHARE * len(text)):
        raise NotTextError(f"the file begins like a text in {encoding.upper()} but is none")
    return text


def _decode_unmarked(data: bytes, declared: str | None) -> str:
    if encoding := _wide_encoding(data[:SAMPLE_BYTES]):
        return _decode_marked(data, encoding)
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if b"\0" in data or controls > MAX_CONTROL_SHARE * len(data):
        raise NotTextError("this is a binary file, not a text")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_declared(data, declared) or _decode_legacy(data)


def _decode_declared(data: bytes, declared: str | None) -> str | None:
    """What browsers do with a declared encoding: Latin-1 is Windows-1252 (WHATWG Encoding Standard)."""
    if declared is None or not _DECLARABLE.fullmatch(declared):
        return None
    if declared.lower() in _LATIN_1:
        return _decode_windows_1252(data)
    try:
        return data.decode(declared, errors="replace")
    except LookupError:
        return None


def _wide_encoding(sample: bytes) -> str | None:
    """UTF-16 without a mark: one byte of each pair is often zero, the other hardly ever."""
    pairs = len(sample) // 2
    zeros_even, zeros_odd = sample[0::2].count(0), sample[1::2].count(0)
    if zeros_odd > 0.1 * pairs + 50 * zeros_even:
        return "utf-16-le"
    if zeros_even > 0.1 * pairs + 50 * zeros_odd:
        return "utf-16-be"
    return None


def _decode_legacy(data: bytes) -> str:
    """No valid UTF-8: damaged UTF-8, another script's encoding or Windows-1252."""
    damaged = data.decode("utf-8", errors="replace")
    broken = damaged.count("\ufffd")
    if sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", damaged))) > 2 * broken:
        return damaged
    sample = data[:SAMPLE_BYTES]
    foreign = len(sample) - len(sample.translate(None, bytes(range(128, 256))))
    if len(sample) >= _MIN_FOREIGN_BYTES and foreign > _MIN_FOREIGN_SHARE * len(sample):
        guess = from_bytes(sample, cp_isolation=_FOREIGN_ENCODINGS).best()
        if guess is not None:
            return data.decode(guess.encoding, errors="replace")
    return _decode_windows_1252(data)


def _decode_windows_1252(data: bytes) -> str:
    """As browsers do (WHATWG Encoding Standard): the five undefined bytes are control characters."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return "".join(_WINDOWS_1252[byte] for byte in data)


_WINDOWS_1252 = [bytes([n]).decode("cp1252", errors="ignore") or chr(n) for n in range(256)]
