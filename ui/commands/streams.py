"""Files that a command reads and writes; "-" is standard input or output."""

from __future__ import annotations

from pathlib import Path

import click

from index import QuothError
from rag.record import MAX_RECORD_BYTES, Record, read_record

STANDARD = Path("-")


class FileAccessError(QuothError):
    """A file that the command line names cannot be read or written."""


def read_bytes(file: Path, limit: int) -> bytes:
    """The file's content, of which no more than one byte beyond the limit. Raises FileAccessError."""
    try:
        with click.open_file(str(file), "rb") as stream:
            content: bytes = stream.read(limit + 1)
    except OSError as error:
        raise FileAccessError(f"cannot read {file_name(file)}: {error.strerror}") from error
    return content


def write_text(file: Path, text: str) -> None:
    """Write the file, in the place of what it held. Raises FileAccessError."""
    try:
        with click.open_file(str(file), "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise FileAccessError(f"cannot write {file}: {error.strerror}") from error


def file_name(file: Path) -> str:
    """The file as an error names it."""
    return "standard input" if file == STANDARD else str(file)


def read_conversation(file: Path) -> Record:
    """The conversation that the file holds. Raises FileAccessError and RecordError."""
    return read_record(read_bytes(file, MAX_RECORD_BYTES), file_name(file))
