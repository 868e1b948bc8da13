"""Commands that keep the library's documents: add, list, show, rename, remove."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click

from index import Document, DocumentRecord, Library
from index.errors import DocumentError
from index.language import foreign_line, language_of
from index.library import Progress, read_source
from index.watching import Event, watch
from ui import terminal
from ui.client import Client
from ui.commands.libraries import answering, find, library_with_summary
from ui.commands.options import (
    EXIT_ERROR,
    SHORT_ID,
    document_argument,
    documents_named,
    json_option,
    span,
    verbose_option,
    with_settings,
)
from ui.commands.streams import STANDARD, read_bytes
from ui.outputs import (
    AddedFile,
    FailedFile,
    Outline,
    PlacedText,
    Removed,
    Renamed,
    SectionOutline,
    print_json,
)
from ui.settings import Settings


@click.command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, allow_dash=True)
)
@click.option("--watch", "watching", is_flag=True, help="Keep in step with these folders until Ctrl-C.")
@click.option("--name", default="standard-input.txt", show_default=True, help="File name of standard input.")
@json_option
@verbose_option
@with_settings("library")
@click.pass_context
def add(
    ctx: click.Context,
    files: tuple[Path, ...],
    watching: bool,
    name: str,
    as_json: bool,
    settings: Settings,
) -> None:
    """Add files to the library, or with "-" what standard input holds.

    A file that cannot be added gets a line that says why; the others are added. Exit code 1 when any failed.
    The first that is in a language which the model does not know gets a line that says so. Where a server of
    the library runs (quoth serve), it adds them: its models are loaded already.

    With --watch, name folders: what is new in them is added, a changed file replaces its earlier version, and
    what is removed from them is removed from the library. A document that no such folder brought stays.

    \b
    Examples:
      quoth add summary.txt report.pdf
      quoth add --json notes/*.md
      quoth add --watch notes
      pandoc minutes.tex -t markdown | quoth add - --name minutes.md
    """
    if watching:
        with library_with_summary(settings) as library:
            _watch(library, files, as_json=as_json)
        return
    with answering(settings) as (library, engine):
        client = engine if isinstance(engine, Client) else None
        results, warned = [], False
        for path in files:
            results.append(result := _add_file(library, client, path, name, quiet=as_json))
            if isinstance(result, AddedFile):
                warned = warned or _warn_of_language(library, result.file, result.language)
    if as_json:
        print_json("add", tuple(results))
    if any(isinstance(result, FailedFile) for result in results):
        ctx.exit(EXIT_ERROR)


def _add_file(
    library: Library, client: Client | None, path: Path, stdin_name: str, *, quiet: bool
) -> AddedFile | FailedFile:
    """What became of one file."""
    name, limit = stdin_name if path == STANDARD else path.name, library.max_document_bytes
    try:
        source = read_bytes(path, limit) if path == STANDARD else path
        with terminal.progress(name) as update:
            if client is None:
                record, is_new = _add_here(library, source, name, update)
            else:
                record, is_new = client.add(*read_source(source, name, limit), update)
    except DocumentError as error:
        terminal.print_failure(str(error))
        return FailedFile(str(path), str(error))
    if not quiet:
        terminal.print_line(_added_line(record, is_new))
    language = language_of(library.document(record.id))
    return AddedFile(str(path), record.id, record.title, language, is_new)


def _warn_of_language(library: Library, file: str, language: str | None) -> bool:
    """Whether there was something to say: once a run is enough."""
    line = foreign_line(Path(file).name, language, library.embedder)
    if line:
        terminal.print_failure(line)
    return line is not None


def _add_here(
    library: Library, source: Path | bytes, name: str, progress: Progress
) -> tuple[DocumentRecord, bool]:
    """The document, and whether it is new."""
    known = {record.id for record in library.documents()}
    document = library.add(source, name=name, progress=progress)
    return find(library, document.id), document.id not in known


def _added_line(record: DocumentRecord, is_new: bool) -> str:
    what = f"{record.n_sentences} sentences" if is_new else "was there already"
    return f"{record.id[:SHORT_ID]}  {record.title}: {what}"


def _watch(library: Library, folders: Sequence[Path], *, as_json: bool) -> None:
    """Tell what becomes of the folders' files, a line each, until Ctrl-C."""
    warned = False
    with suppress(KeyboardInterrupt):
        for event in watch(library, folders, terminal.progress):
            if as_json:
                print_json("add --watch", event, indent=None)
            elif event.kind == "failed":
                terminal.print_failure(event.error)
            else:
                terminal.print_line(_event_line(event))
            warned = warned or _warn_of_language(library, event.path.name, event.language)


def _event_line(event: Event) -> str:
    return f"{event.kind} {event.document_id[:SHORT_ID]}  {event.title} ({event.path.name})"


@click.command("list")
@json_option
@with_settings("library")
def list_documents(as_json: bool, settings: Settings) -> None:
    """List the documents of the library.

    In a pipe: a line each with id, sentences, day added, title and file name, separated by tabs.

    \b
    Examples:
      quoth list
      quoth list --json | jq '.[].title'
    """
    with library_with_summary(settings) as library:
        records = library.documents()
    if as_json:
        print_json("list", records)
    else:
        rows = [(r.id[:SHORT_ID], str(r.n_sentences), r.added[:10], r.title, r.name) for r in records]
        terminal.print_table(("Id", "Sentences", "Added", "Title", "File"), rows)


@click.command()
@document_argument
@click.option(
    "--at",
    type=span,
    metavar="START:END",
    help="Show these characters (a quote's start and end) in their place instead.",
)
@json_option
@with_settings("library")
def show(prefix: str, at: tuple[int, int] | None, as_json: bool, settings: Settings) -> None:
    """Show the outline of a document, or a piece of it in its place.

    The outline: its sections, each with the number of sentences right below its heading. A piece: after a
    ">", between the rest of its paragraphs and the paragraphs beside those in their section.

    ID is an id from "quoth list", or the beginning of one.

    \b
    Examples:
      quoth show 3f2a
      quoth show --json 3f2a
      quoth show 3f2a --at 6111:6190
    """
    with library_with_summary(settings) as library:
        record = find(library, prefix)
        document = library.document(record.id)
    if at is not None:
        placed = _placed(document, *at)
        if as_json:
            print_json("show --at", placed)
        else:
            terminal.print_placed(placed)
    elif as_json:
        print_json("show", _outline(document, record))
    else:
        terminal.print_outline(document, record)


def _outline(document: Document, record: DocumentRecord) -> Outline:
    counts = document.sentence_counts()
    sections = (
        SectionOutline(**asdict(section), n_sentences=count)
        for section, count in zip(document.sections, counts, strict=True)
    )
    return Outline(**asdict(record), sections=tuple(sections))


def _placed(document: Document, start: int, end: int) -> PlacedText:
    """The range between the rest of its paragraphs, with the one before and the one after in its section."""
    numbers = document.sentences_between(start, end) if end <= len(document.text) else range(0)
    if not numbers:
        raise click.UsageError(f"{document.title} has no sentence at {start}:{end}")
    first, last = (document.sentences[number].block for number in (numbers[0], numbers[-1]))
    sections = {document.blocks[at].section for at in (first, last)}
    near = [block for block in document.blocks[max(first - 1, 0) : last + 2] if block.section in sections]
    return PlacedText(
        document.id,
        document.title,
        document.section_of(numbers[0]).path,
        start,
        end,
        document.text[start:end],
        place=document.place_of(start),
        before=document.text[min(near[0].label_start, start) : start],
        after=document.text[end : max(near[-1].end, end)],
    )


@click.command()
@document_argument
@click.argument("title")
@json_option
@with_settings("library")
def rename(prefix: str, title: str, as_json: bool, settings: Settings) -> None:
    """Give a document another title.

    \b
    Examples:
      quoth rename 3f2a "Minutes of March"
    """
    with library_with_summary(settings) as library:
        record = find(library, prefix)
        library.rename(record.id, title)
        renamed = Renamed(record.id, library.document(record.id).title)
    if as_json:
        print_json("rename", renamed)
    else:
        terminal.print_line(f"renamed {renamed.id[:SHORT_ID]}  {renamed.title}")


@click.command()
@click.argument("prefixes", nargs=-1, required=True, metavar="ID...", shell_complete=documents_named)
@json_option
@with_settings("library")
def remove(prefixes: tuple[str, ...], as_json: bool, settings: Settings) -> None:
    """Remove documents from the library.

    None is removed when an ID is wrong. The files that they came from stay as they are.

    \b
    Examples:
      quoth remove 3f2a
      quoth remove 3f2a 77c0
    """
    with library_with_summary(settings) as library:
        records = {record.id: record for record in (find(library, prefix) for prefix in prefixes)}
        for document_id in records:
            library.remove(document_id)
    if as_json:
        print_json("remove", Removed(tuple(records)))
    else:
        for record in records.values():
            terminal.print_line(f"removed {record.id[:SHORT_ID]}  {record.title}")
