"""What commands print as JSON: it is what `quoth schema` says, and docs/cli.md shows it as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from conftest import Quoth
from jsonschema import Draft202012Validator

from ui.cli import cli
from ui.outputs import OUTPUTS, json_schema

PAGE = (Path(__file__).parent.parent / "docs" / "cli.md").read_text(encoding="utf-8")
QUESTION = "When was radar removed?"
NOTE = "Sensors\n\nRadar was removed in 2021. It disagreed with the cameras.\n"

RUNS = {
    "ask": f"ask|{QUESTION}",
    "chat": "chat",
    "search": "search|radar",
    "verify": "verify|{answer}",
    "add": "add|{note}|{folder}/missing.txt",
    "add --watch": "add|--watch|{folder}/watched",
    "list": "list",
    "show": "show|{id}",
    "show --at": "show|{id}|--at|9:35",
    "rename": "rename|{id}|Radar",
    "remove": "remove|{id}",
    "reindex": "reindex",
    "doctor": "doctor",
    "backup": "backup|{folder}/backup",
    "restore": "restore|--force|{folder}/kept",
    "eval": "eval|{folder}/squad.json",
    "eval --conversations": "eval|--conversations|{folder}/talks",
    "feedback give": "feedback|give|helpful|{answer}",
    "feedback list": "feedback|list",
    "settings": "settings",
}
"""For every form, the command that prints it, without --json."""


@pytest.fixture
def places(quoth: Quoth, tmp_path: Path) -> dict[str, str]:
    """A library with a note in it, and files for every command."""
    note, answer = tmp_path / "note.txt", tmp_path / "answer.json"
    for folder in ("watched", "talks"):
        (tmp_path / folder).mkdir()
    for file in (note, tmp_path / "watched" / "other.txt", tmp_path / "talks" / "note.txt"):
        file.write_text(NOTE.replace("Sensors", f"Sensors of {file.parent.name}"))
    note.write_text(NOTE)
    turns = [
        {
            "q": QUESTION,
            "standalone": QUESTION,
            "type": "standalone",
            "evidence": ["Radar was removed in 2021."],
        },
        {"q": "thanks", "standalone": "thanks", "type": "chitchat", "evidence": []},
    ]
    (tmp_path / "talks" / "note.conv.jsonl").write_text(json.dumps({"turns": turns}) + "\n")
    asked = {
        "id": "1",
        "question": QUESTION,
        "is_impossible": False,
        "answers": [{"text": "in 2021", "answer_start": NOTE.index("in 2021")}],
    }
    squad = {"version": "v2.0", "data": [{"title": "S", "paragraphs": [{"context": NOTE, "qas": [asked]}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(squad))
    (added,) = json.loads(quoth("add", "--json", str(note)).stdout)
    answer.write_text(quoth("ask", "--json", "--document", added["id"], QUESTION).stdout)
    quoth("feedback", "give", "helpful", str(answer))
    quoth("backup", str(tmp_path / "kept"))
    return {"id": added["id"], "note": str(note), "answer": str(answer), "folder": str(tmp_path)}


@pytest.mark.parametrize("command", OUTPUTS)
def test_what_a_command_prints_is_of_its_schema(
    quoth: Quoth, places: dict[str, str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("index.watching.time.sleep", interrupt)
    words = RUNS[command].format(**places).split("|")
    result = quoth(*words, "--json", stdin=f"{QUESTION}\nWhy?\n")
    printed = list(documents_in(result.stdout))
    validator = validator_of(quoth, command)
    assert printed
    for value in printed:
        validator.validate(value)
        assert value, "an empty list says nothing about the form"


def documents_in(text: str) -> Iterator[object]:
    """The JSON values of a text, one after the other."""
    decoder, at = json.JSONDecoder(parse_constant=pytest.fail), 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at)
        at += len(text[at:]) - len(text[at:].lstrip())
        yield value


def validator_of(quoth: Quoth, command: str) -> Draft202012Validator:
    schema = json.loads(quoth("schema", *command.split()).stdout)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_what_is_not_of_the_form_is_refused(quoth: Quoth) -> None:
    validator = validator_of(quoth, "rename")
    assert validator.is_valid({"id": "1", "title": "T"})
    assert not validator.is_valid({"id": "1"})
    assert not validator.is_valid({"id": 1, "title": "T"})


def test_a_form_that_is_none(quoth: Quoth) -> None:
    assert quoth("schema").stdout.splitlines() == list(OUTPUTS)
    result = quoth("schema", "serve")
    assert result.exit_code == 2
    assert "serve" in result.stderr


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield path + name, command


COMMANDS = dict(commands(cli))


def options_of(command: click.Command) -> set[str]:
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return {name for option in options for name in option.opts if name.startswith("--")}


def test_every_command_that_has_json_has_a_form() -> None:
    with_json = {name for name, command in COMMANDS.items() if "--json" in options_of(command)}
    assert {form.partition(" --")[0] for form in OUTPUTS} == with_json


# docs/cli.md


def test_the_page_has_a_section_for_every_command() -> None:
    assert re.findall(r"^## quoth (.+)$", PAGE, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_names_every_option_and_no_other(name: str) -> None:
    section = PAGE.partition(f"\n## quoth {name}\n")[2].partition("\n## ")[0]
    prose = re.sub(r"```.*?```", "", section, flags=re.DOTALL)
    assert set(re.findall(r"(?<=`)--[a-z-]+", prose)) == options_of(COMMANDS[name])


EXAMPLES = dict(re.findall(r"JSON of `([^`]+)`:\n\n```json\n(.*?)```", PAGE, re.DOTALL))


def test_every_form_has_an_example() -> None:
    assert list(EXAMPLES) == list(OUTPUTS)


@pytest.mark.parametrize("command", EXAMPLES)
def test_an_example_is_of_its_schema(command: str) -> None:
    Draft202012Validator(json_schema(command)).validate(json.loads(EXAMPLES[command]))


def test_the_schema_that_the_page_shows_is_the_commands(quoth: Quoth) -> None:
    shown = PAGE.partition("$ quoth schema rename\n")[2].partition("```")[0]
    assert json.loads(shown) == json.loads(quoth("schema", "rename").stdout)
