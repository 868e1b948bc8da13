"""What a person on the page is told when something failed."""

from __future__ import annotations

import logging

from index import QuothError

log = logging.getLogger(__name__)


def error_line(error: Exception, name: str | None = None) -> str:
    """An error's own line if Quoth raised it on purpose, else only that the log has it.

    It begins with a capital, unless it begins with the name of the file that it is about.
    """
    if isinstance(error, QuothError):
        message = str(error)
        return message if name and message.startswith(name) else message[:1].upper() + message[1:]
    log.error("The page met an unexpected error", exc_info=error)
    return "Something went wrong; the server's log says what."
