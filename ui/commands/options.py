"""What several commands take: settings as options, documents by the beginning of their ids, `--json`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from index import QuothError
from index.store import Store, require_library
from ui.settings import Settings, default_text, load_settings, option_name

EXIT_ERROR = 1  # click's own code for a ClickException

SHORT_ID = 8
"""Characters of an id in a list; any unique prefix names a document."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def setting_option(name: str) -> Decorator:
    """The command-line option of a setting. Its value is checked in `load_settings`, like the variable's."""
    if Settings.model_fields[name].annotation is bool:
        return click.option(option_name(name), name, is_flag=True, default=None, help=setting_help(name))
    return click.option(option_name(name), name, metavar=name.upper(), help=setting_help(name))


def setting_help(name: str) -> str:
    """What a setting does, in a line of help."""
    return f"{Settings.model_fields[name].description} Default: {default_text(name)}."


def with_settings(*names: str) -> Decorator:
    """Give a command the options of these settings, and all settings as its argument `settings`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def with_them(*args: Any, **kwargs: Any) -> Any:
            options = {name: kwargs.pop(name) for name in names}
            return function(*args, settings=load_settings(**options), **kwargs)

        command: Callable[..., Any] = with_them
        for name in reversed(names):  # decorators apply from the last to the first
            command = setting_option(name)(command)
        return command

    return decorate


def documents_named(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For a shell: ids that begin with this, each with its document's title. No model is loaded for them."""
    try:
        folder = load_settings(library=ctx.params.get("library")).library
        require_library(folder)
        store = Store(folder)
    except QuothError:
        return []  # a shell that completes has no place for an error
    try:
        records = store.records()
    finally:
        store.close()
    return [
        CompletionItem(record.id[:SHORT_ID], help=record.title)
        for record in records
        if record.id.startswith(incomplete.lower())
    ]


def span(text: str) -> tuple[int, int]:
    """The type of an argument START:END, offsets in a document's text."""
    start, _, end = text.partition(":")
    if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)):
        raise click.BadParameter(f"{text!r} is not START:END, two numbers of which the second is larger")
    return int(start), int(end)


def _hear_news(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        logging.getLogger("ui").setLevel(logging.INFO)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; quoth schema says its form.")

verbose_option = click.option(
    "--verbose",
    "-v",
    is_flag=True,
    expose_value=False,
    callback=_hear_news,
    help="Say whether a running server did the work.",
)

documents_option = click.option(
    "--document",
    "prefixes",
    multiple=True,
    metavar="ID",
    help="Ask this document alone; repeatable.",
    shell_complete=documents_named,
)

document_argument = click.argument("prefix", metavar="ID", shell_complete=documents_named)
