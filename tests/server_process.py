"""A real `quoth serve` in a process of its own, for what ends it, loads it and looks at it from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 180
STOP_SECONDS = 60


@dataclass(frozen=True)
class ServerProcess:
    """A server that answers questions without waiting."""

    address: str
    process: subprocess.Popen[str]
    log: Path

    def stop(self) -> int:
        """Ask it to end, and wait for that; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it between two instructions."""
        self.process.kill()
        self.process.wait()

    def logged(self) -> str:
        """What it said on the standard error."""
        return self.log.read_text("utf-8")


@contextmanager
def server_process(folder: Path, **settings: object) -> Iterator[ServerProcess]:
    """A server whose library and log lie in `folder`, with these settings; it is killed at the end."""
    command = [str(Path(sys.executable).with_name("quoth")), "serve", "--port", "0"]
    chosen = {"library": folder / "library"} | settings
    environment = os.environ | {f"QUOTH_{name.upper()}": str(value) for name, value in chosen.items()}
    log = folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout
            said = process.stdout.readline()
            address = next((word for word in said.split() if word.startswith("http://")), None)
            assert address, f"it did not start: {said}{log.read_text()}"
            wait_until_ready(address)
            yield ServerProcess(address, process, log)
        finally:
            process.kill()


def wait_until_ready(address: str) -> None:
    """Until questions are answered without waiting."""
    deadline = time.monotonic() + START_SECONDS
    while httpx.get(f"{address}/readyz", timeout=START_SECONDS).status_code != httpx.codes.OK:
        assert time.monotonic() < deadline, "the models were not loaded"
        time.sleep(0.05)
