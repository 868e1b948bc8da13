"""The project around the code: what README, CHANGELOG and constraints.txt say is true of the packages."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from index import Library
from rag import Engine
from ui.cli import cli
from ui.settings import Settings, default_text, env_name

ROOT = Path(__file__).parent.parent
LAYERS = ("index", "rag", "ui")  # each may import itself and those before it
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PYTHON_PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
PYTHON_EXAMPLES = re.findall(r"```python\n(.*?)```", PYTHON_PAGE, re.DOTALL)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
STATIC = sorted((ROOT / "ui" / "static").iterdir())
URL_HOST = re.compile(r"""(?:https?:|["'(])//([\w-]+(?:\.[\w-]+)+)""")
HOSTS = {"127.0.0.1", "www.w3.org"}  # ourselves, and the name of the SVG namespace


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    """Top-level packages that a file imports, wherever in it, type checking included."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    layer = LAYERS.index(path.relative_to(ROOT).parts[0])
    assert not set(imported(path)) & set(LAYERS[layer + 1 :])
    assert "tests" not in imported(path)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_pickled(path: Path) -> None:
    assert not {"pickle", "shelve", "joblib", "dill"} & set(imported(path))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_names_no_other_host(path: Path) -> None:
    strings = {node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant)} - docstrings(
        path
    )
    assert {
        host for string in strings if isinstance(string, str) for host in URL_HOST.findall(string)
    } <= HOSTS


def docstrings(path: Path) -> set[object]:
    """What a module, class or function says about itself; a method's source may be cited there."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return {ast.get_docstring(node, clean=False) for node in ast.walk(tree(path)) if isinstance(node, kinds)}


@pytest.mark.parametrize("path", STATIC, ids=lambda path: path.name)
def test_static_files_name_no_other_host(path: Path) -> None:
    assert set(URL_HOST.findall(path.read_text(encoding="utf-8"))) <= HOSTS


@pytest.mark.parametrize("path", STATIC, ids=lambda path: path.name)
def test_every_static_file_is_used(path: Path) -> None:
    """Its name, or the name without the suffix, is a string of the code that serves it."""
    serving = [tree(ROOT / "ui" / name) for name in ("chat.py", "guard.py")]
    strings = {node.value for code in serving for node in ast.walk(code) if isinstance(node, ast.Constant)}
    assert strings & {path.name, path.stem}


def test_readme_has_the_table_of_settings() -> None:
    rows = re.findall(r"^\| `(QUOTH_\w+)` \| (.+?) \| (.+?) \|$", README, re.MULTILINE)
    assert rows == [
        (env_name(name), field.description, default_text(name))
        for name, field in Settings.model_fields.items()
    ]


def test_readme_shows_every_command_and_no_other() -> None:
    shown = set(re.findall(r"^quoth ([a-z]+)", README, re.MULTILINE)) | {"serve"}
    assert shown | {"reindex"} == set(cli.commands)


def test_readme_names_real_targets_and_files() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= targets
    linked = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert [name for name in linked if not (ROOT / name).exists()] == []


@pytest.mark.model
def test_the_readme_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert "quote" in names, "the example found neither quotes nor leads"


@pytest.mark.model
def test_the_examples_of_the_python_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in PYTHON_EXAMPLES:
        if "rag.adapters" not in example:
            exec(compile(example, "python.md", "exec"), names)
    names["library"].close()


@pytest.mark.model
@pytest.mark.parametrize(
    ("adapter", "framework"),
    [("langchain", "langchain_core"), ("llamaindex", "llama_index.core"), ("haystack", "haystack")],
)
def test_the_examples_of_the_adapters_run(real_library: Library, adapter: str, framework: str) -> None:
    pytest.importorskip(framework, reason="needs pip install 'quoth[adapters]', too large for every run")
    (example,) = [each for each in PYTHON_EXAMPLES if f"from rag.adapters.{adapter} import" in each]
    exec(compile(example, "python.md", "exec"), {"engine": Engine(real_library)})


def test_the_newest_version_of_the_changelog_is_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)
    assert versions[0] == PYPROJECT["project"]["version"] == metadata.version("quoth")
    assert versions == sorted(versions, key=Version, reverse=True)


def pinned(lines: list[str] = CONSTRAINTS) -> dict[str, Version]:
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(name): Version(version) for name, version in pins}
    assert len(versions) == len(pins), "a package is pinned twice"
    return versions


def requirements(distribution: str, extras: tuple[str, ...]) -> list[Requirement]:
    """What a distribution needs on every platform; PyTorch pins what it needs on some of them itself."""
    found = map(Requirement, metadata.requires(distribution) or ())
    anywhere = dict.fromkeys(("platform_system", "sys_platform", "os_name"), "any")
    return [
        requirement
        for requirement in found
        if (marker := requirement.marker) is None
        or any(marker.evaluate({**anywhere, "extra": extra}) for extra in extras)
    ]


def test_constraints_pin_what_the_project_needs_and_all_that_needs() -> None:
    pins = pinned()
    optional = set(pinned(CONSTRAINTS[CONSTRAINTS.index("") :]))  # the tests run without
    installed = {canonicalize_name(distribution.name) for distribution in metadata.distributions()}
    project = PYPROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    open_requirements = [Requirement(line) for line in (*project["dependencies"], *extras)]
    seen: set[str] = set()
    while open_requirements:
        requirement = open_requirements.pop()
        name = canonicalize_name(requirement.name)
        if name == project["name"]:
            continue  # an extra that is made of others
        assert name in pins, f"constraints.txt lacks {name}"
        assert requirement.specifier.contains(pins[name], prereleases=True), requirement
        if name not in seen:
            seen.add(name)
            if name in installed or name not in optional:
                open_requirements += requirements(name, ("", *requirement.extras))
    unknown = optional if seen - installed else set()  # what is absent may need any of them
    assert set(pins) - seen - unknown <= {"setuptools"}, "constraints.txt pins what nothing needs"


def test_constraints_suit_every_platform() -> None:
    assert not [name for name, version in pinned().items() if version.local]


def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
