"""What who uses the server is told when something failed: an error's line, without this machine's paths."""

from __future__ import annotations

import logging

from index import QuothError
from index.errors import (
    LibraryBusyError,
    LibraryError,
    LibraryFullError,
    LibraryGoneError,
    ModelError,
    ModelMismatchError,
)

log = logging.getLogger(__name__)

PUBLIC_LINES: tuple[tuple[type[QuothError], str], ...] = (
    (LibraryBusyError, "another process is writing to the library; try again in a moment"),
    (LibraryFullError, "the disk with the library is full; make room and try again"),
    (LibraryGoneError, "the library was moved or deleted while Quoth ran; put it back, or start Quoth again"),
    (ModelMismatchError, "the library was embedded with another model; run: quoth reindex"),
    (LibraryError, "the library cannot be used; the server's log says why"),
    (ModelError, "a model cannot be loaded; the server's log says why"),
)
"""Said instead of the line of an error that may name a folder of this machine; the first that fits."""

UNEXPECTED = "Something went wrong; the server's log says what."


def public_line(error: Exception) -> str:
    """An error's own line if Quoth raised it on purpose and it names no folder; what it hides is logged."""
    if not isinstance(error, QuothError):
        log.error("the server met an unexpected error", exc_info=error)
        return UNEXPECTED
    said = next((line for kind, line in PUBLIC_LINES if isinstance(error, kind)), None)
    if said is None:
        return str(error)
    log.error("%s", error)
    return said


def error_line(error: Exception, name: str | None = None) -> str:
    """The line as the page shows it: beginning with a capital, or with the name of the file it is about."""
    message = public_line(error)
    return message if name and message.startswith(name) else message[:1].upper() + message[1:]
