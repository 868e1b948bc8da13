"""A real server under load, and killed in the middle of it: the short form of load.py and faults.py."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from faults import survive
from load import library_faults, load
from server_process import server_process

from index.embedding import Embedder

pytestmark = pytest.mark.model


def test_many_clients_at_once_see_nothing_but_success_and_come_again(
    tmp_path: Path, embedder: Embedder
) -> None:
    with server_process(tmp_path, rate=0, queue=8) as server:
        seen = asyncio.run(load(server, clients=20, seconds=10))
        assert (server.stop(), server.logged()) == (0, "")
    assert seen.faults == []
    assert set(seen.seconds) >= {"ask", "stream", "upload"}
    assert set(seen.refused) <= {503}
    assert seen.quotes
    assert library_faults(tmp_path / "library", embedder) == []


def test_what_a_kill_interrupts_fails_clearly_and_works_again(tmp_path: Path, embedder: Embedder) -> None:
    assert survive(tmp_path, kills=1, clients=8, embedder=embedder)
