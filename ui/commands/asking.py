"""Commands that ask: a question, a conversation, a search; and the check of what was answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import click

from index import Document
from rag import Answer, Engine, Turn
from rag.record import cited, sources, to_json
from rag.retrieval import Found
from rag.verification import VERDICTS
from rag.verification import verify as verify_quotes
from ui import terminal
from ui.client import Client
from ui.commands.libraries import answering, find_all, library_with_summary
from ui.commands.options import documents_option, json_option, verbose_option, with_settings
from ui.commands.streams import STANDARD, read_bytes, read_conversation, write_text
from ui.outputs import Verification, print_json
from ui.render import markdown
from ui.settings import Settings

EXIT_ABSTAINED = 3
EXIT_NOT_RIGHT = 3

MAX_UTF8_BYTES = 4  # of a character

Show = Callable[[Answer, Mapping[str, Document]], None]


EXPORTS: dict[str, Callable[[Sequence[Answer], Mapping[str, Document]], str]] = {
    ".md": markdown,
    ".json": to_json,
}


def _check_export(ctx: click.Context, param: click.Parameter, file: Path | None) -> Path | None:
    if file is not None and file.suffix not in EXPORTS:
        raise click.BadParameter(f"{file} ends with none of {', '.join(EXPORTS)}", ctx, param)
    return file


export_option = click.option(
    "--export",
    "exported",
    type=click.Path(path_type=Path),
    callback=_check_export,
    metavar="FILE",
    help="Keep the conversation in this file, as Markdown (.md) or JSON (.json).",
)


@click.command()
@click.argument("question", required=False)
@click.option("--follow", is_flag=True, help="Then take follow-up questions, as quoth chat does.")
@documents_option
@export_option
@json_option
@verbose_option
@with_settings("library", "strict")
@click.pass_context
def ask(
    ctx: click.Context,
    question: str | None,
    follow: bool,
    prefixes: tuple[str, ...],
    exported: Path | None,
    as_json: bool,
    settings: Settings,
) -> None:
    """Print the sentences that answer a question.

    Each stands with its section. "-" reads the question from standard input; with --follow it may be left
    out. Where a server of the library runs (quoth serve), it is asked: its models are loaded already.

    Exit code: 0 answered (and always with --follow), 3 not answered by the documents (the nearest sentences
    are printed as leads), 2 wrong usage, 1 error.

    \b
    Examples:
      quoth ask "Why did Tesla remove radar and lidar?"
      quoth ask --document 3f2a --json "What is Software 2.0?"
      quoth ask --follow "What is Software 2.0?"
      quoth ask - < question.txt
    """
    if question is None and not follow:
        raise click.MissingParameter(ctx=ctx, param_hint="'QUESTION'", param_type="argument")
    first = [] if question is None else [_question(question, settings)]
    lines = chain(first, terminal.lines() if follow else ())
    print_json_answer = _print_as_line if follow else _print_as_json
    show = print_json_answer if as_json else terminal.print_answer
    answers = _converse(lines, prefixes, settings, show, exported, load_first=not first)
    if not follow and answers[-1].status != "answered":
        ctx.exit(EXIT_ABSTAINED)


def _question(given: str, settings: Settings) -> str:
    """The question, or where it is "-" what standard input says."""
    if given != str(STANDARD):
        return given
    content = read_bytes(STANDARD, MAX_UTF8_BYTES * settings.max_question_chars)
    return content.decode(errors="replace").strip()


@click.command()
@documents_option
@export_option
@json_option
@verbose_option
@with_settings("library", "strict")
def chat(prefixes: tuple[str, ...], exported: Path | None, as_json: bool, settings: Settings) -> None:
    """Ask question after question, each a line; a later one may lean on those before.

    "Understood as: …" says how a follow-up was taken. A line that begins with "!" is asked as it stands,
    "!" alone asks the last question again as it was typed. An empty line or the end of input ends it.

    \b
    Examples:
      quoth chat
      quoth chat --export sensors.md
      quoth chat --json < questions.txt
    """
    show = _print_as_line if as_json else terminal.print_answer
    _converse(terminal.lines(), prefixes, settings, show, exported, load_first=True)


def _converse(
    lines: Iterable[str],
    prefixes: Sequence[str],
    settings: Settings,
    show: Show,
    exported: Path | None,
    *,
    load_first: bool,
) -> list[Answer]:
    """Answer each line as it comes, and show and export it; all the answers."""
    answers: list[Answer] = []
    found: dict[str, Document] = {}
    with answering(settings) as (library, engine):
        documents = find_all(library, prefixes)
        if load_first and isinstance(engine, Engine):
            with terminal.progress("loading"):
                engine.load()
        for answer in _answers(engine, lines, documents):
            answers.append(answer)
            found |= sources(answer, library)
            show(answer, found)
            if exported:
                write_text(exported, EXPORTS[exported.suffix](answers, found))
    return answers


def _answers(
    engine: Engine | Client, lines: Iterable[str], documents: Sequence[str] | None
) -> Iterator[Answer]:
    """The answer to each line, in the light of those before unless it begins with "!"."""
    history: list[Turn] = []
    for line in lines:
        question = line.removeprefix("!").strip() or (history[-1].question if history else line)
        with terminal.progress("asking"):
            answer = engine.ask(question, documents, () if line.startswith("!") else history)
        history.append(Turn(question, answer))
        yield answer


def _print_as_json(answer: Answer, documents: Mapping[str, Document]) -> None:
    print_json("ask", cited(answer, documents))


def _print_as_line(answer: Answer, documents: Mapping[str, Document]) -> None:
    print_json("chat", cited(answer, documents), indent=None)


@click.command()
@click.argument("question")
@click.option("--limit", type=int, default=10, show_default=True, help="How many passages, 1 to 100.")
@documents_option
@json_option
@verbose_option
@with_settings("library")
def search(question: str, limit: int, prefixes: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Find the passages nearest to a question, without deciding whether they answer it.

    The score compares the passages of one search, and says nothing beyond it.

    \b
    Examples:
      quoth search "sensor fusion"
      quoth search --limit 3 --json "sensor fusion"
    """
    with answering(settings) as (library, engine), terminal.progress("searching"):
        found = _found(engine, question, find_all(library, prefixes), limit)
    if as_json:
        print_json("search", found)
    else:
        terminal.print_passages(found)


def _found(
    engine: Engine | Client, question: str, documents: Sequence[str] | None, limit: int
) -> tuple[Found, ...]:
    found = engine.search(question, documents, limit=limit)
    return tuple(each if isinstance(each, Found) else Found.of(each) for each in found)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@json_option
@with_settings("library")
@click.pass_context
def verify(ctx: click.Context, file: Path, as_json: bool, settings: Settings) -> None:
    """Check the quotes of a conversation against the library, letter by letter.

    FILE is what the page exported as JSON, or what "quoth ask --json" or "quoth chat --json" printed; "-" is
    standard input. Each quote is right, moved (the document changed, but still says this), changed (it says
    something else now) or missing (the library has no such document). Exit code: 0 all right, 3 not all
    right, 2 wrong usage, 1 error.

    \b
    Examples:
      quoth verify conversation.json
      quoth ask --json "What is Software 2.0?" | quoth verify -
    """
    record = read_conversation(file)
    with library_with_summary(settings) as library:
        checks = verify_quotes(record, library)
    counts = Counter(check.verdict for check in checks)
    if as_json:
        print_json(
            "verify", Verification(**{verdict: counts[verdict] for verdict in VERDICTS}, checks=checks)
        )
    else:
        terminal.print_checks(checks)
    if counts["right"] < len(checks):
        ctx.exit(EXIT_NOT_RIGHT)
