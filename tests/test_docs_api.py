"""docs/api.md: every command of it runs as it stands, and what it shows is what comes; docs/security.md: its
numbers are those of the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from ui_fixtures import running, steered_reader

from index import Library
from index.embedding import FakeEmbedder
from rag import Engine
from ui.api import create_api
from ui.api.state import PublicSettings
from ui.guard import SECURITY_HEADERS
from ui.problems import STATUS_OF_ERROR
from ui.service import Service
from ui.settings import Settings, default_text, env_name

DOCS = Path(__file__).parent.parent / "docs"
API = (DOCS / "api.md").read_text("utf-8")
SECURITY = (DOCS / "security.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:7860"
EXAMPLE = re.compile(r"```sh\n(.+?)```\n(?:\n```(?:json|http|text)\n(.*?)```)?", re.DOTALL)
EXAMPLES = EXAMPLE.findall(API)
SEPARATOR = "\n=== next ===\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over the bundled summary, without the embedding model."""
    folder = tmp_path_factory.mktemp("documented")
    with Library.open(folder, embedder=FakeEmbedder()) as library:
        library.add_bundled()
        with running(library, steered_reader()) as (at, _):
            yield at


@pytest.fixture(scope="module")
def outputs(address: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the commands print, all run in one shell."""
    if not shutil.which("curl"):
        pytest.skip("no curl: apt-get install curl")
    script = f"printf '{SEPARATOR}'\n".join(command for command, _ in EXAMPLES).replace(ADDRESS, address)
    folder = tmp_path_factory.mktemp("shell")
    ran = subprocess.run(
        ["bash", "-eu"], input=script.encode(), cwd=folder, capture_output=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode().replace("\r\n", "\n").split(SEPARATOR)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_a_command_prints_what_is_shown(number: int, outputs: list[str]) -> None:
    _, shown = EXAMPLES[number]
    assert_like(shown.strip(), outputs[number].strip())


def assert_like(shown: str, printed: str) -> None:
    """The same status, headers and keys; values of the same kind."""
    if shown.startswith("HTTP/"):
        head, _, body = shown.partition("\n\n")
        printed_head, _, printed_body = printed.partition("\n\n")
        (status, *headers), (printed_status, *printed_headers) = head.splitlines(), printed_head.splitlines()
        assert printed_status.split()[:2] == status.split()[:2]
        assert names(headers) <= names(printed_headers)
        if body:
            assert_like(body, printed_body)
    elif shown.startswith(("{", "[")):
        assert outline(json.loads(shown)) == outline(json.loads(printed))
    elif shown.startswith("event: "):
        assert dict.fromkeys(re.findall("event: .+", shown)) == dict.fromkeys(
            re.findall("event: .+", printed)
        )
    else:
        assert printed == shown


def names(headers: list[str]) -> set[str]:
    return {line.partition(":")[0].lower() for line in headers}


def outline(value: Any) -> Any:
    """The keys of objects, all the way down, and the kinds of values; a list is as its first item."""
    if isinstance(value, dict):
        return {key: outline(each) for key, each in value.items()}
    return [outline(each) for each in value[:1]] if isinstance(value, list) else type(value)


def test_every_route_is_shown(tmp_path: Path) -> None:
    with Library.open(tmp_path, embedder=FakeEmbedder()) as library:
        paths = create_api(Service.of(library, Engine(library), Settings())).openapi()["paths"]
    requests = set(shown_requests())
    own = {path: methods for path, methods in paths.items() if not path.startswith("/v1/")}
    for path, methods in own.items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", path)
        for method in methods:
            assert any(name == method.upper() and re.fullmatch(pattern, at) for name, at in requests), (
                f"{method} {path}"
            )


def shown_requests() -> Iterator[tuple[str, str]]:
    """Method and path of every command of the page."""
    for command, _ in EXAMPLES:
        for line in command.replace("\\\n", "").splitlines():
            sends = re.search(" (-d|-F|--data-binary) ", line)
            method = re.search(r"-X (\w+)", line)
            for path in re.findall(rf"{ADDRESS}([\w/$]+)", line):
                yield method[1] if method else "POST" if sends else "GET", path


def rows(page: str, header: str) -> dict[str, tuple[str, ...]]:
    """The table below a header: the cells by the first of the row."""
    table = page[page.index(header) :].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {first.strip("`"): tuple(rest) for first, *rest in cells}


@pytest.mark.parametrize("page", [API, SECURITY], ids=["api", "security"])
def test_the_limits_are_the_settings(page: str) -> None:
    table = rows(page, "| variable | default |")
    names = {env_name(name): name for name in Settings.model_fields}
    assert {variable: cells[0] for variable, cells in table.items()} == {
        variable: default_text(names[variable]) for variable in table
    }
    bounds = set(PublicSettings.model_fields) & set(Settings.model_fields) - {"model", "strict"}
    assert bounds <= {names[variable] for variable in table}


@pytest.mark.parametrize("constant", rows(SECURITY, "| constant |"))
def test_a_bound_is_that_of_the_code(constant: str) -> None:
    module, _, name = constant.rpartition(".")
    assert float(rows(SECURITY, "| constant |")[constant][0]) == getattr(import_module(module), name)


def test_every_header_is_explained() -> None:
    explained = {name.strip("` ") for names in rows(SECURITY, "| header |") for name in names.split(",")}
    assert explained == set(SECURITY_HEADERS)


def test_every_status_is_told() -> None:
    told = {int(status) for status in rows(API, "| status | when |")}
    assert {status.value for _, status in STATUS_OF_ERROR} <= told


def test_every_metric_is_told(address: str) -> None:
    metrics = re.findall("# TYPE (\\w+)", httpx.get(f"{address}/metrics").text)
    kept = {name for name in metrics if not name.endswith("_created")}
    assert set(rows(API, "| metric |")) == kept
