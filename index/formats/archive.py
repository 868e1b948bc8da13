"""ZIP archives that hold a document (DOCX, ODT, EPUB), read within limits.

Members are read into memory by their names and nothing is ever written, so a name such as "../../x" is only
a name that nobody asks for.
"""

from __future__ import annotations

import posixpath
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from index.errors import UnreadableFileError
from index.formats.xml import Element, parse_xml

MAX_ENTRIES = 10_000
"""An archive with more files in it is refused before its directory is read."""

MAX_UNPACKED_BYTES = 64 * 2**20
"""What all members that are read may unpack to, together."""

MAX_RATIO = 200
"""A member that shrank more than this is no text: deflate reaches 1,000 on zeros, 10 to 40 on XML."""

MIN_RATIO_BYTES = 2**20
"""The ratio of smaller members does not matter."""

MAX_NAME_CHARS = 100
"""As much of a name as an error shows."""

_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 0x1
_DAMAGES = (BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, LookupError)


class Archive:
    """The members of an archive by name; raises UnreadableFileError for all that is wrong with them."""

    def __init__(self, data: bytes) -> None:
        if data.count(_ENTRY) > MAX_ENTRIES:
            raise UnreadableFileError(f"the archive holds more than {MAX_ENTRIES:,} files")
        with _damages_named():
            self._zip = ZipFile(BytesIO(data))
        self._left = MAX_UNPACKED_BYTES
        self._members = {_clean(info.filename): info for info in self._zip.infolist()}

    def __contains__(self, name: str) -> bool:
        return _clean(name) in self._members

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._members)

    def read(self, name: str) -> bytes:
        """The bytes of a member; "a/../b" is "b"."""
        member = self._members.get(_clean(name))
        if member is None:
            raise UnreadableFileError(
                f"the archive lacks {_clean(name)[:MAX_NAME_CHARS]!r}: the file is damaged"
            )
        self._check(member)
        self._left -= member.file_size
        with _damages_named():
            return self._zip.read(member)

    def xml(self, name: str) -> Element:
        """The root element of an XML member."""
        return parse_xml(self.read(name))

    def _check(self, member: ZipInfo) -> None:
        if member.flag_bits & _ENCRYPTED:
            raise UnreadableFileError("the file is protected by a password; save it without one first")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise UnreadableFileError("the file is compressed in a way that no program does")
        if member.file_size > self._left:
            size = MAX_UNPACKED_BYTES // 2**20
            raise UnreadableFileError(f"the file unpacks to more than {size} MiB of text")
        if member.file_size > max(MIN_RATIO_BYTES, MAX_RATIO * member.compress_size):
            name = member.filename[:MAX_NAME_CHARS]
            raise UnreadableFileError(f"{name!r} in the file unpacks to more than {MAX_RATIO} times its size")


def member_names(data: bytes) -> frozenset[str]:
    """The names of the members; none when this is no archive that Quoth reads."""
    if not data.startswith(b"PK"):
        return frozenset()
    try:
        return Archive(data).names
    except UnreadableFileError:
        return frozenset()


@contextmanager
def _damages_named() -> Iterator[None]:
    try:
        yield
    except (*_DAMAGES, NotImplementedError, RuntimeError) as error:
        raise UnreadableFileError("the file is damaged: its archive cannot be unpacked") from error


def _clean(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/")).lstrip("/")
