"""Commands that look after the library and the answers: reindex, doctor, backup, restore, eval."""

from __future__ import annotations

from pathlib import Path

import click

from index.backup import back_up
from index.backup import restore as restore_backup
from index.health import Check, run_check
from index.store import require_library
from ui import terminal
from ui.commands.options import EXIT_ERROR, json_option, with_settings
from ui.outputs import DocumentCount, WrittenFile, print_json
from ui.settings import Settings, embedder, open_library, reader


@click.command()
@json_option
@with_settings("library")
def reindex(as_json: bool, settings: Settings) -> None:
    """Embed every document again, after another model was chosen.

    Until all is done, a page that runs with the earlier model answers as before. After an interruption the
    next call goes on where this one was.

    \b
    Examples:
      quoth reindex
      QUOTH_MODEL=./my-model quoth reindex
    """
    with open_library(settings) as library:
        try:
            with terminal.progress("reindex") as update:
                library.reindex(progress=update)
        except KeyboardInterrupt:
            terminal.print_failure("interrupted; what was embedded is kept, quoth reindex goes on from there")
            raise
        count = len(library.documents())
    if as_json:
        print_json("reindex", DocumentCount(count))
    else:
        terminal.print_line(f"{count} documents embedded again")


@click.command()
@click.option("--mend", is_flag=True, help="Build again what is derived from the rest, where it is wrong.")
@json_option
@with_settings("library")
@click.pass_context
def doctor(ctx: click.Context, mend: bool, as_json: bool, settings: Settings) -> None:
    """Check everything: the database, what is derived from it, and the models.

    Exit code 1 when anything is wrong (with --mend: still is).

    \b
    Examples:
      quoth doctor
      quoth doctor --mend
      quoth doctor --json | jq '.[] | select(.ok | not)'
    """
    require_library(settings.library)
    with open_library(settings) as library:
        checks = library.check()
        faults = [each for each in checks if not each.ok]
        if mend and faults and all(each.derived for each in faults):
            library.mend()
            checks = library.check()
    checks = (*checks, run_check("reader", lambda: _examine_reader(settings)))
    if as_json:
        print_json("doctor", checks)
    else:
        terminal.print_table(("Check", "", "Found"), map(_check_row, checks))
    if not all(each.ok for each in checks):
        ctx.exit(EXIT_ERROR)


def _examine_reader(settings: Settings) -> str:
    reader(settings).load()
    return "its weights are the pinned ones"


def _check_row(each: Check) -> tuple[str, str, str]:
    hint = "; run: quoth doctor --mend" if each.derived and not each.ok else ""
    return each.name, "ok" if each.ok else "WRONG", f"{each.detail}{hint}"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@with_settings("library")
def backup(file: Path, as_json: bool, settings: Settings) -> None:
    """Write the library, as it is now, to one file.

    The page and other commands may go on meanwhile. A file that exists is left alone.

    \b
    Examples:
      quoth backup library-2026-11.quoth
    """
    back_up(settings.library, file)
    written = WrittenFile(str(file), file.stat().st_size)
    if as_json:
        print_json("backup", written)
    else:
        terminal.print_line(f"wrote {file}: {written.bytes / 2**20:.1f} MB")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the documents that are in the library.")
@json_option
@with_settings("library")
def restore(file: Path, force: bool, as_json: bool, settings: Settings) -> None:
    """Read a backup into the library.

    The backup is checked first, and takes the place of what is there all at once or not at all.

    \b
    Examples:
      quoth restore library-2026-11.quoth
      quoth restore --force --library ./other library-2026-11.quoth
    """
    restore_backup(file, settings.library, force=force)
    with open_library(settings) as library:
        count = len(library.documents())
    if as_json:
        print_json("restore", DocumentCount(count))
    else:
        terminal.print_line(f"{count} documents restored")


@click.command("eval")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--conversations", is_flag=True, help="Ask the conversations of a folder, turn by turn.")
@json_option
@with_settings()
def evaluate_file(path: Path, conversations: bool, as_json: bool, settings: Settings) -> None:
    """Measure the answers on questions whose answers are known.

    PATH is a SQuAD 2.0 file, or a folder of documents with the questions to NAME.txt in NAME.jsonl (with
    --conversations: the conversations about it in NAME.conv.jsonl). The library stays as it is.

    \b
    Examples:
      quoth eval squad2_articles_dev.json
      quoth eval --json authored/dev > dev.json
      quoth eval --conversations authored/dev
    """
    from rag.conversation.evaluation import evaluate_conversations
    from rag.evaluation import Report, evaluate

    measure = evaluate_conversations if conversations else evaluate
    with terminal.progress(path.name) as update:
        report = measure(
            path,
            embedder=embedder(settings),
            reader=reader(settings),
            progress=lambda done, total: update("questions", done, total),
        )
    if as_json:
        form = "eval --conversations" if conversations else "eval"
        print_json(form, report.to_json())
    elif isinstance(report, Report):
        terminal.print_report(report)
    else:
        terminal.print_conversation_report(report)
