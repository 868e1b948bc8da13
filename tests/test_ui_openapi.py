"""The REST interface against its own OpenAPI document, by schemathesis: every check, stateful links too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ui_fixtures import served, steered_reader

from index import Library

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 4


@pytest.mark.filterwarnings("ignore::DeprecationWarning:gradio")
def test_every_response_is_as_documented(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The long run is in docs/api.md."""
    monkeypatch.setenv("QUOTH_RATE", "0")
    library.add_bundled()
    with served(library, steered_reader()) as address:
        phases = "--phases=examples,fuzzing,stateful"
        command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run"]
        options = [f"{address}/api/v1/openapi.json", "-n", str(EXAMPLES), "--seed=1", phases, "--no-color"]
        run = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
    assert run.returncode == 0, run.stdout[-6000:]
    assert "25 selected / 25 total" in run.stdout
