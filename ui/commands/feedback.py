"""Commands about what was said about answers: give, list, export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from index.feedback import VERDICTS, Verdict
from rag import Answer
from rag.feedback import give_feedback, to_squad
from ui import terminal
from ui.commands.libraries import find, find_all
from ui.commands.options import documents_named, json_option, span, with_settings
from ui.commands.streams import STANDARD, read_conversation, write_text
from ui.outputs import print_json
from ui.settings import Settings, open_engine, open_library


@click.group()
def feedback() -> None:
    """Say what answers are worth, and see what was said, here and on the page.

    \b
    Examples:
      quoth feedback give helpful answer.json
      quoth feedback list
      quoth feedback export feedback.json
    """


@feedback.command("give")
@click.argument("verdict", type=click.Choice(VERDICTS))
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--turn", type=int, metavar="NUMBER", help="Which answer of a conversation. Default: the last.")
@click.option(
    "--document",
    "prefixes",
    multiple=True,
    metavar="ID",
    help="A document that was asked, where not all were; repeatable.",
    shell_complete=documents_named,
)
@click.option(
    "--answer",
    "selected",
    type=(str, span),
    metavar="ID START:END",
    help="For answer_here: where the answer stands.",
)
@json_option
@with_settings("library")
def give(
    verdict: Verdict,
    file: Path,
    turn: int | None,
    prefixes: tuple[str, ...],
    selected: tuple[str, tuple[int, int]] | None,
    as_json: bool,
    settings: Settings,
) -> None:
    """Say what an answer is worth.

    VERDICT: helpful; not_helpful; answer_here (with --answer, the sentences that answer the question); or
    not_said (the documents do not answer it). FILE holds the answer as "quoth ask --json" or "quoth chat
    --json" printed it, or an exported conversation; standard input when left out.

    \b
    Examples:
      quoth ask --json "What is Software 2.0?" | quoth feedback give helpful
      quoth feedback give not_said --turn 2 conversation.json
      quoth feedback give answer_here --answer 3f2a 6111:6190 answer.json
    """
    answer = _chosen(read_conversation(file).turns, turn)
    with open_library(settings) as library:
        marked = None if selected is None else (find(library, selected[0]).id, *selected[1])
        engine = open_engine(settings, library)
        asked = find_all(library, prefixes)
        record = give_feedback(library, engine, answer, verdict, documents=asked, selected=marked)
    if as_json:
        print_json("feedback give", record)
    else:
        terminal.print_line(f"kept as number {record.number}: {record.verdict}, {record.resolved_question}")


def _chosen(answers: Sequence[Answer], turn: int | None) -> Answer:
    number = len(answers) if turn is None else turn
    if not 1 <= number <= len(answers):
        raise click.UsageError(f"there is no answer {number}; the conversation has {len(answers)}")
    return answers[number - 1]


@feedback.command("list")
@json_option
@with_settings("library")
def list_feedback(as_json: bool, settings: Settings) -> None:
    """List what was said about answers, oldest first.

    In a pipe: a line each with number, day, verdict, question, and the sentence that answers it, as far as
    that was said.

    \b
    Examples:
      quoth feedback list
      quoth feedback list --json | jq '.[] | select(.verdict == "not_helpful")'
    """
    with open_library(settings) as library:
        records = library.feedback()
    if as_json:
        print_json("feedback list", records)
    else:
        terminal.print_feedback(records)


@feedback.command("export")
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@with_settings("library")
def export_feedback(file: Path, settings: Settings) -> None:
    """Write what was said about answers as SQuAD 2.0, which "quoth eval" reads.

    FILE is standard output when left out. A sentence that was pointed out is the answer to its question, of
    an answer that was called helpful the first quote; a question that the document does not answer is
    impossible. "Not helpful" alone says no answer and is left out, as is what stood in a removed document.

    \b
    Examples:
      quoth feedback export feedback.json
      quoth feedback export | jq '.data[].title'
    """
    with open_library(settings) as library:
        records = library.feedback()
        exported = to_squad(records, library)
    write_text(file, json.dumps(exported, indent=2) + "\n")
    if file != STANDARD:
        count = sum(len(each["qas"]) for article in exported["data"] for each in article["paragraphs"])
        terminal.print_line(f"{count} questions written to {file}, {len(records) - count} left out")
