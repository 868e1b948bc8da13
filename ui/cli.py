"""The command line: `quoth` starts the page; the commands are in `ui/commands/`.

What is slow to import (the page, the models) is imported by the command that needs it.
"""

from __future__ import annotations

import logging
import sys
from io import TextIOWrapper
from typing import Any

import click

from index.errors import QuestionError, QuothError, TitleError
from ui import terminal
from ui.commands import about, asking, documents, upkeep
from ui.commands.feedback import feedback
from ui.commands.options import setting_help, setting_option, with_settings
from ui.settings import Settings, SettingsError, env_name, load_settings

EXIT_USAGE = 2  # click's own code for a command line that it cannot read
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class _Failure(click.ClickException):
    """One line on stderr."""

    def show(self, file: Any = None) -> None:
        terminal.print_failure(self.message)


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
            formatter.write_dl([(env_name(name), setting_help(name)) for name in Settings.model_fields])


def _unexpected(error: Exception) -> str:
    how = f"quoth --debug … or {env_name('debug')}=1 shows where"
    return f"unexpected {type(error).__name__}: {error} ({how})"


@click.group(
    cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="quoth", message="%(prog)s %(version)s")
@setting_option("debug")
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
@with_settings("host", "port", "library", "strict", "token_file")
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


@click.command()
@with_settings("library", "strict", "mcp_add")
def mcp(settings: Settings) -> None:
    """Serve a language model's program over MCP, by standard input and output.

    Such a program starts this command itself; a running "quoth serve" has the same at /mcp.

    \b
    Examples:
      quoth mcp
      quoth mcp --library ./papers --mcp-add
    """
    from ui.mcp_server import serve_stdio

    serve_stdio(settings)


def _announce(address: str) -> None:
    click.echo(f"Quoth answers at {address} (Ctrl-C stops)")


for _command in (
    asking.ask,
    asking.chat,
    asking.search,
    documents.add,
    documents.list_documents,
    documents.show,
    documents.rename,
    documents.remove,
    asking.verify,
    feedback,
    mcp,
    upkeep.doctor,
    upkeep.backup,
    upkeep.restore,
    upkeep.reindex,
    upkeep.evaluate_file,
    about.list_settings,
    about.schema,
    about.completion,
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the console script."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character still gets the line
    cli(prog_name="quoth")
