"""The command line: `quoth` starts the page, `quoth ask` prints quotes, the other commands keep the library.

What is slow to import (the page, the models) is imported by the command that needs it.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click

from index import Document, DocumentRecord, Library
from index.backup import back_up
from index.backup import restore as restore_backup
from index.errors import (
    DocumentError,
    DocumentNotFoundError,
    QuestionError,
    QuothError,
    RecordError,
    TitleError,
)
from index.health import Check, run_check
from index.language import foreign_line, language_of
from index.store import require_library
from index.watching import Event, watch
from rag.answer import Answer, Turn
from rag.feedback import to_squad
from rag.record import MAX_RECORD_BYTES, Record, cited, read_record
from rag.verification import VERDICTS
from rag.verification import verify as verify_quotes
from ui import terminal
from ui.settings import (
    Settings,
    SettingsError,
    default_text,
    embedder,
    env_name,
    load_settings,
    open_engine,
    open_library,
    option_name,
    reader,
)

EXIT_ERROR = 1  # click's own code for a ClickException
EXIT_USAGE = 2  # click's own code for a command line that it cannot read
EXIT_ABSTAINED = 3
EXIT_NOT_RIGHT = 3
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

_SHORT_ID = 8  # characters of an id in a list; any unique prefix names a document


class _Failure(click.ClickException):
    """One line on stderr."""

    def show(self, file: Any = None) -> None:
        click.echo(f"quoth: {terminal.printable(self.message)}", file=file, err=True)


class _UsageFailure(_Failure):
    exit_code = EXIT_USAGE


class _Commands(click.Group):
    """The one place that turns an exception into a line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click knows what to do with its own
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)
        except (QuestionError, SettingsError, TitleError) as error:
            raise _UsageFailure(str(error)) from error
        except QuothError as error:
            raise _Failure(str(error)) from error
        except Exception as error:
            if load_settings(debug=ctx.params["debug"]).debug:
                raise
            raise _Failure(_unexpected(error)) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # as declared, the most used first

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Environment"):
            formatter.write_dl([(env_name(name), _setting_help(name)) for name in Settings.model_fields])


def _unexpected(error: Exception) -> str:
    how = f"quoth --debug … or {env_name('debug')}=1 shows where"
    return f"unexpected {type(error).__name__}: {error} ({how})"


def _setting_option(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The command-line option of a setting. Its value is checked in `load_settings`, like the variable's."""
    if Settings.model_fields[name].annotation is bool:
        return click.option(option_name(name), name, is_flag=True, default=None, help=_setting_help(name))
    return click.option(option_name(name), name, metavar=name.upper(), help=_setting_help(name))


def _setting_help(name: str) -> str:
    return f"{Settings.model_fields[name].description} Default: {default_text(name)}."


def _with_settings(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of these settings, and all settings as its argument `settings`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def with_settings(*args: Any, **kwargs: Any) -> Any:
            options = {name: kwargs.pop(name) for name in names}
            return function(*args, settings=load_settings(**options), **kwargs)

        command: Callable[..., Any] = with_settings
        for name in reversed(names):  # decorators apply from the last to the first
            command = _setting_option(name)(command)
        return command

    return decorate


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="quoth", message="%(prog)s %(version)s")
@_setting_option("debug")
@click.pass_context
def cli(ctx: click.Context, debug: bool | None) -> None:
    """Ask your documents and get their own words back.

    Without a command, Quoth starts its page (quoth serve).

    \b
    Examples:
      quoth
      quoth ask "Why did Tesla remove radar and lidar?"
      quoth add notes.md report.txt
      quoth list
    """
    logging.basicConfig(level=logging.WARNING, format="quoth: %(message)s")
    if load_settings(debug=debug).debug:
        for package in ("index", "rag", "ui"):
            logging.getLogger(package).setLevel(logging.DEBUG)
    if ctx.invoked_subcommand is None:
        ctx.invoke(serve)


@cli.command()
@_with_settings("host", "port", "library", "strict")
def serve(settings: Settings) -> None:
    """Start the page where people ask and read. Ctrl-C stops it.

    \b
    Examples:
      quoth serve
      quoth serve --port 8000
      quoth serve --port 0 --library ./papers
    """
    from ui.server import serve as serve_page

    serve_page(settings, _announce)


def _announce(address: str) -> None:
    click.echo(f"Quoth answers at {address} (Ctrl-C stops)")


@cli.command()
@click.argument("question")
@click.option(
    "--document", "prefixes", multiple=True, metavar="ID", help="Ask this document alone; repeatable."
)
@_json_option
@_with_settings("library", "strict")
@click.pass_context
def ask(
    ctx: click.Context, question: str, prefixes: tuple[str, ...], as_json: bool, settings: Settings
) -> None:
    """Print the sentences that answer a question.

    Each stands with its section. Exit code: 0 answered, 3 not answered by the documents (the nearest
    sentences are printed as leads), 2 wrong usage, 1 error.

    \b
    Examples:
      quoth ask "Why did Tesla remove radar and lidar?"
      quoth ask --document 3f2a --json "What is Software 2.0?"
    """
    with _library_with_summary(settings) as library, terminal.progress("asking"):
        documents = [_find(library, prefix).id for prefix in prefixes] or None
        answer = open_engine(settings, library).ask(question, documents)
        sources = _sources(answer, library)
    if as_json:
        _print_json(asdict(cited(answer, sources)))
    else:
        terminal.print_answer(answer, sources)
    if answer.status != "answered":
        ctx.exit(EXIT_ABSTAINED)


@cli.command()
@click.option(
    "--document", "prefixes", multiple=True, metavar="ID", help="Ask this document alone; repeatable."
)
@_json_option
@_with_settings("library", "strict")
def chat(prefixes: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Ask question after question, each a line; a later one may lean on those before.

    "Understood as: …" says how a follow-up was taken. A line that begins with "!" is asked as it stands,
    "!" alone asks the last question again as it was typed. An empty line or the end of input ends it.

    \b
    Examples:
      quoth chat
      quoth chat --json < questions.txt
    """
    with _library_with_summary(settings) as library:
        documents = [_find(library, prefix).id for prefix in prefixes] or None
        with terminal.progress("loading"):
            engine = open_engine(settings, library)
            engine.load()
        history: list[Turn] = []
        for line in terminal.lines():
            question = line.removeprefix("!").strip() or (history[-1].question if history else "")
            if not question:
                continue
            answer = engine.ask(question, documents, () if line.startswith("!") else history)
            history.append(Turn(question, answer))
            sources = _sources(answer, library)
            if as_json:
                click.echo(json.dumps(asdict(cited(answer, sources))))
            else:
                terminal.print_answer(answer, sources)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@_json_option
@_with_settings("library")
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
    record = _read_record(file)
    with _library_with_summary(settings) as library:
        checks = verify_quotes(record, library)
    counts = Counter(check.verdict for check in checks)
    if as_json:
        _print_json(
            {verdict: counts[verdict] for verdict in VERDICTS} | {"checks": list(map(asdict, checks))}
        )
    else:
        terminal.print_checks(checks)
    if counts["right"] < len(checks):
        ctx.exit(EXIT_NOT_RIGHT)


def _read_record(file: Path) -> Record:
    name = "standard input" if str(file) == "-" else str(file)
    try:
        with click.open_file(str(file), "rb") as stream:
            content = stream.read(MAX_RECORD_BYTES + 1)
    except OSError as error:
        raise RecordError(f"cannot read {name}: {error.strerror}") from error
    return read_record(content, name)


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--watch", "watching", is_flag=True, help="Keep in step with these folders until Ctrl-C.")
@_json_option
@_with_settings("library")
@click.pass_context
def add(
    ctx: click.Context, files: tuple[Path, ...], watching: bool, as_json: bool, settings: Settings
) -> None:
    """Add files to the library.

    A file that cannot be added gets a line that says why; the others are added. Exit code 1 when any failed.
    The first that is in a language which the model does not know gets a line that says so.

    With --watch, name folders: what is new in them is added, a changed file replaces its earlier version, and
    what is removed from them is removed from the library. A document that no such folder brought stays.

    \b
    Examples:
      quoth add summary.txt
      quoth add --json notes/*.md
      quoth add --watch notes
    """
    with _library_with_summary(settings) as library:
        if watching:
            _watch(library, files, as_json=as_json)
            return
        results, warned = [], False
        for path in files:
            results.append(_add_file(library, path, quiet=as_json))
            warned = warned or _warn_of_language(library, path, results[-1].get("language"))
    if as_json:
        _print_json(results)
    if any("error" in result for result in results):
        ctx.exit(EXIT_ERROR)


def _add_file(library: Library, path: Path, *, quiet: bool) -> dict[str, Any]:
    """What became of one file: its document's id, title, language and whether it is new, or the error."""
    known = {record.id for record in library.documents()}
    try:
        with terminal.progress(path.name) as update:
            document = library.add(path, progress=update)
    except DocumentError as error:
        _Failure(str(error)).show()
        return {"file": str(path), "error": str(error)}
    is_new = document.id not in known
    if not quiet:
        terminal.print_line(_added_line(document, is_new))
    return {
        "file": str(path),
        "id": document.id,
        "title": document.title,
        "language": language_of(document),
        "new": is_new,
    }


def _warn_of_language(library: Library, path: Path, language: str | None) -> bool:
    """Whether there was something to say: once a run is enough."""
    line = foreign_line(path.name, language, library.embedder)
    if line:
        _Failure(line).show()
    return line is not None


def _added_line(document: Document, is_new: bool) -> str:
    what = f"{len(document.sentences)} sentences" if is_new else "was there already"
    return f"{document.id[:_SHORT_ID]}  {document.title}: {what}"


def _watch(library: Library, folders: Sequence[Path], *, as_json: bool) -> None:
    """Tell what becomes of the folders' files, a line each, until Ctrl-C."""
    warned = False
    with suppress(KeyboardInterrupt):
        for event in watch(library, folders, terminal.progress):
            if as_json:
                click.echo(json.dumps(asdict(event) | {"path": str(event.path)}))
            elif event.kind == "failed":
                _Failure(event.error).show()
            else:
                terminal.print_line(_event_line(event))
            warned = warned or _warn_of_language(library, event.path, event.language)


def _event_line(event: Event) -> str:
    return f"{event.kind} {event.document_id[:_SHORT_ID]}  {event.title} ({event.path.name})"


@cli.command("list")
@_json_option
@_with_settings("library")
def list_documents(as_json: bool, settings: Settings) -> None:
    """List the documents of the library.

    In a pipe: a line each with id, sentences, day added, title and file name, separated by tabs.

    \b
    Examples:
      quoth list
      quoth list --json | jq '.[].title'
    """
    with _library_with_summary(settings) as library:
        records = library.documents()
    if as_json:
        _print_json([asdict(record) for record in records])
    else:
        rows = [(r.id[:_SHORT_ID], str(r.n_sentences), r.added[:10], r.title, r.name) for r in records]
        terminal.print_table(("Id", "Sentences", "Added", "Title", "File"), rows)


@cli.command()
@click.argument("prefix", metavar="ID")
@_json_option
@_with_settings("library")
def show(prefix: str, as_json: bool, settings: Settings) -> None:
    """Show the outline of a document.

    Its sections, each with the number of sentences right below its heading.

    ID is an id from "quoth list", or the beginning of one.

    \b
    Examples:
      quoth show 3f2a
      quoth show --json 3f2a
    """
    with _library_with_summary(settings) as library:
        record = _find(library, prefix)
        document = library.document(record.id)
    if as_json:
        _print_json(asdict(record) | {"sections": _outline(document)})
    else:
        terminal.print_outline(document, record)


def _outline(document: Document) -> list[dict[str, object]]:
    counts = terminal.sentence_counts(document)
    return [
        asdict(section) | {"n_sentences": count}
        for section, count in zip(document.sections, counts, strict=True)
    ]


@cli.command()
@click.argument("prefixes", nargs=-1, required=True, metavar="ID...")
@_json_option
@_with_settings("library")
def remove(prefixes: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Remove documents from the library.

    None is removed when an ID is wrong. The files that they came from stay as they are.

    \b
    Examples:
      quoth remove 3f2a
      quoth remove 3f2a 77c0
    """
    with _library_with_summary(settings) as library:
        records = {record.id: record for record in (_find(library, prefix) for prefix in prefixes)}
        for document_id in records:
            library.remove(document_id)
    if as_json:
        _print_json({"removed": list(records)})
    else:
        for record in records.values():
            terminal.print_line(f"removed {record.id[:_SHORT_ID]}  {record.title}")


@cli.command()
@click.argument("prefix", metavar="ID")
@click.argument("title")
@_json_option
@_with_settings("library")
def rename(prefix: str, title: str, as_json: bool, settings: Settings) -> None:
    """Give a document another title.

    \b
    Examples:
      quoth rename 3f2a "Minutes of March"
    """
    with _library_with_summary(settings) as library:
        record = _find(library, prefix)
        library.rename(record.id, title)
        renamed = library.document(record.id).title
    if as_json:
        _print_json({"id": record.id, "title": renamed})
    else:
        terminal.print_line(f"renamed {record.id[:_SHORT_ID]}  {renamed}")


@cli.command()
@_json_option
@_with_settings("library")
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
            _Failure("interrupted; what was embedded is kept, quoth reindex goes on from there").show()
            raise
        count = len(library.documents())
    if as_json:
        _print_json({"documents": count})
    else:
        terminal.print_line(f"{count} documents embedded again")


@cli.command()
@click.option("--mend", is_flag=True, help="Build again what is derived from the rest, where it is wrong.")
@_json_option
@_with_settings("library")
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
        _print_json([asdict(each) for each in checks])
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


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@_json_option
@_with_settings("library")
def backup(file: Path, as_json: bool, settings: Settings) -> None:
    """Write the library, as it is now, to one file.

    The page and other commands may go on meanwhile. A file that exists is left alone.

    \b
    Examples:
      quoth backup library-2026-11.quoth
    """
    back_up(settings.library, file)
    size = file.stat().st_size
    if as_json:
        _print_json({"file": str(file), "bytes": size})
    else:
        terminal.print_line(f"wrote {file}: {size / 2**20:.1f} MB")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the documents that are in the library.")
@_json_option
@_with_settings("library")
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
        _print_json({"documents": count})
    else:
        terminal.print_line(f"{count} documents restored")


@cli.command("eval")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--conversations", is_flag=True, help="Ask the conversations of a folder, turn by turn.")
@_json_option
@_with_settings()
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
        _print_json(report.to_json())
    elif isinstance(report, Report):
        terminal.print_report(report)
    else:
        terminal.print_conversation_report(report)


@cli.group()
def feedback() -> None:
    """See what was said about answers on the page.

    \b
    Examples:
      quoth feedback list
      quoth feedback export feedback.json
    """


@feedback.command("list")
@_json_option
@_with_settings("library")
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
        _print_json([asdict(record) for record in records])
    else:
        terminal.print_feedback(records)


@feedback.command("export")
@click.argument("file", default="-", type=click.Path(path_type=Path, allow_dash=True))
@_with_settings("library")
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
    try:
        with click.open_file(str(file), "w", encoding="utf-8") as stream:
            stream.write(json.dumps(exported, indent=2) + "\n")
    except OSError as error:
        raise _Failure(f"cannot write {file}: {error.strerror}") from error
    if str(file) != "-":
        count = sum(len(each["qas"]) for article in exported["data"] for each in article["paragraphs"])
        terminal.print_line(f"{count} questions written to {file}, {len(records) - count} left out")


@contextmanager
def _library_with_summary(settings: Settings) -> Iterator[Library]:
    """The library of the settings; a new one begins with the bundled summary."""
    with open_library(settings) as library:
        with terminal.progress("the bundled summary") as update:
            library.add_bundled(update)
        yield library


def _sources(answer: Answer, library: Library) -> dict[str, Document]:
    """Every document that the answer quotes, by id."""
    ids = {quote.document_id for quote in answer.quotes + answer.leads}
    return {document_id: library.document(document_id) for document_id in ids}


def _find(library: Library, prefix: str) -> DocumentRecord:
    """The one document whose id begins with `prefix`. Raises DocumentNotFoundError for none or several."""
    found = [record for record in library.documents() if prefix and record.id.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise DocumentNotFoundError(f"no document has an id that begins with {prefix!r}; see quoth list")
    raise DocumentNotFoundError(
        f"{len(found)} documents have an id that begins with {prefix!r}; give more of it"
    )


def _print_json(value: object) -> None:
    """ASCII, so that no terminal and no pipe can change what was quoted."""
    click.echo(json.dumps(value, indent=2))


def main() -> None:
    """Entry point of the console script."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character still gets the line
    cli(prog_name="quoth")
