"""The library that a command works on, its documents, and who answers questions about it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from index import DocumentRecord, Library
from index.errors import DocumentNotFoundError
from rag import Engine
from ui import terminal
from ui.client import Client, find_server
from ui.settings import Settings, open_engine, open_library

log = logging.getLogger(__name__)


@contextmanager
def library_with_summary(settings: Settings) -> Iterator[Library]:
    """The library of the settings; a new one begins with the bundled summary."""
    with open_library(settings) as library:
        with terminal.progress("the bundled summary") as update:
            library.add_bundled(update)
        yield library


@contextmanager
def answering(settings: Settings) -> Iterator[tuple[Library, Engine | Client]]:
    """The library, and who answers from it: its server where one runs, else an engine in this process."""
    server = find_server(settings)
    if server is None:
        log.info("no server: asking the library in this process")
        with library_with_summary(settings) as library:
            yield library, open_engine(settings, library)
        return
    log.info("asking the server at %s", server.address)
    with open_library(settings) as library, Client(server, settings) as client:
        yield library, client


def find(library: Library, prefix: str) -> DocumentRecord:
    """The one document whose id begins with `prefix`. Raises DocumentNotFoundError for none or several."""
    found = [record for record in library.documents() if prefix and record.id.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DocumentNotFoundError(f"no document has an id that begins with {prefix!r}; see quoth list")
    raise DocumentNotFoundError(
        f"{len(found)} documents have an id that begins with {prefix!r}; give more of it"
    )


def find_all(library: Library, prefixes: Sequence[str]) -> list[str] | None:
    """The ids of the documents that are named; None, which stands for all, where none is."""
    return [find(library, prefix).id for prefix in prefixes] or None
