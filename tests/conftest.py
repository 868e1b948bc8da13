"""Fixtures that several test files use: documents, and libraries without and with the real model."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from index import Document, Library
from index.document import assemble
from index.embedding import Embedder, FakeEmbedder, SentenceTransformerEmbedder
from index.formats import parse
from index.library import BUNDLED

BUNDLED_BYTES = files("index.corpus").joinpath(BUNDLED).read_bytes()


def document_of(text: str, name: str = "test.txt") -> Document:
    """The document that a file with this text becomes."""
    return assemble(parse(text.encode(), name), document_id="test", name=name)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Processes that tests start inherit what SIGINT does; a background job has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def summary() -> Document:
    """The bundled summary."""
    return assemble(parse(BUNDLED_BYTES, BUNDLED), document_id="bundled", name=BUNDLED)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty library that needs no model."""
    with Library.open(tmp_path / "library", embedder=FakeEmbedder()) as opened:
        yield opened


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The real model, loaded once."""
    loaded = SentenceTransformerEmbedder()
    loaded.load()
    return loaded


@pytest.fixture(scope="session")
def real_library(embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A library with the bundled summary, embedded by the real model. Tests only read it."""
    with Library.open(tmp_path_factory.mktemp("library"), embedder=embedder) as opened:
        opened.add_bundled()
        yield opened
