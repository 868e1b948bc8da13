"""`server.json` in the library's folder: where a server has this library open, for who looks for one."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

log = logging.getLogger(__name__)

SERVER_FILE = "server.json"

INSTANCE = uuid.uuid4().hex
INSTANCE_HEADER = "Quoth-Instance"
"""With it every response names this process, so that nobody takes another server for the one that a file
tells of: a killed server leaves its file behind."""

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Addresses to listen on that are none to connect to, and what to connect to instead."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that has the library open."""

    address: str
    process: int
    instance: str


_SERVER = TypeAdapter(Server)


@contextmanager
def announced(folder: Path, address: str) -> Iterator[None]:
    """Let the library's folder say, while the block runs, that this process answers at the address."""
    file = folder / SERVER_FILE
    server = Server(_reachable(address), os.getpid(), INSTANCE)
    try:
        _write(file, json.dumps(asdict(server)))
    except OSError as error:
        log.warning("other commands will not find this server: cannot write %s: %s", file, error.strerror)
    try:
        yield
    finally:
        if announced_server(folder) == server:  # another server of this library may have taken its place
            file.unlink(missing_ok=True)


def announced_server(folder: Path) -> Server | None:
    """The server that the folder tells of, whether it runs or not; None when it tells of none."""
    try:
        return _SERVER.validate_json((folder / SERVER_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _reachable(address: str) -> str:
    for listened, connected in _ANYWHERE.items():
        address = address.replace(f"//{listened}:", f"//{connected}:")
    return address


def _write(file: Path, text: str) -> None:
    """All or nothing, for this user's eyes only."""
    unfinished = file.with_name(f"{file.name}.{INSTANCE}")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    unfinished.replace(file)
