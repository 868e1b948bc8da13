"""No request leaves the machine: the whole path with every socket beyond loopback refused."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from index import Library
from rag import Engine
from ui.server import create_app
from ui.settings import Settings


@pytest.fixture
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuses connections and name look-ups beyond loopback; what was tried is in the list."""
    tried: list[object] = []
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if (
            self.family in (socket.AF_INET, socket.AF_INET6)
            and not ipaddress.ip_address(address[0]).is_loopback
        ):
            tried.append(address)
            raise ConnectionRefusedError(f"{address} is not loopback")
        connect(self, address)

    def guarded_lookup(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0"):
            tried.append(host)
            raise socket.gaierror(f"{host} is not loopback")
        return lookup(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)
    return tried


def test_the_guard_guards(only_loopback: list[object]) -> None:
    with pytest.raises(OSError, match="not loopback"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    assert len(only_loopback) == 1


@pytest.mark.model
def test_from_file_to_answer_without_a_network(tmp_path: Path, only_loopback: list[object]) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add_bundled()
        answer = Engine(library).ask("Why did Tesla remove radar and lidar?")
    assert answer.status == "answered"
    assert only_loopback == []


@pytest.mark.model
def test_the_page_and_its_server_without_a_network(
    real_library: Library, only_loopback: list[object]
) -> None:
    app = create_app(real_library, Engine(real_library), Settings())
    with TestClient(app, "http://127.0.0.1") as client:
        assert client.get("/").status_code == 200
        answer = client.post("/api/v1/ask", json={"question": "Why did Tesla remove radar and lidar?"})
        assert answer.json()["status"] == "answered"
    assert only_loopback == []


def test_telemetry_is_off() -> None:
    """As a new process has it, whatever the environment of this one is."""
    program = """
import ui.chat, os, gradio, huggingface_hub.constants as hub
from index.embedding import SentenceTransformerEmbedder
print(gradio.analytics.analytics_enabled(), hub.HF_HUB_DISABLE_TELEMETRY)
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "HF_"))}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["False", "True"]


def test_the_reader_reports_to_nobody(tmp_path: Path) -> None:
    """ONNX Runtime's reports go past Python's sockets; what it would send waits in the home folder first."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "XDG_"))}
    subprocess.run(
        [sys.executable, "-c", "from rag.reader.trained import TrainedReader; TrainedReader().load()"],
        env=environment | {"HOME": str(tmp_path)},
        check=True,
    )
    assert list(tmp_path.rglob("*")) == []
