"""Commands about the program itself: its settings, the form of its JSON, completion in a shell."""

from __future__ import annotations

import json

import click
from click.shell_completion import get_completion_class
from pydantic import SecretStr

from ui import terminal
from ui.commands.options import json_option, with_settings
from ui.outputs import OUTPUTS, SettingValue, json_schema, print_json
from ui.settings import Settings, default_text, env_name, value_text

SHELLS = ("bash", "zsh", "fish")


@click.command("settings")
@json_option
@with_settings("library")
def list_settings(as_json: bool, settings: Settings) -> None:
    """List every setting with its value, its default and the variable that sets it.

    \b
    Examples:
      quoth settings
      QUOTH_STRICT=0.7 quoth settings --json
    """
    values = tuple(_value(name, settings) for name in Settings.model_fields)
    if as_json:
        print_json("settings", values)
    else:
        rows = [(each.variable, value_text(each.value), each.default, each.help) for each in values]
        terminal.print_table(("Variable", "Value", "Default", "What it sets"), rows)


def _value(name: str, settings: Settings) -> SettingValue:
    value = getattr(settings, name)
    shown = str(value) if isinstance(value, SecretStr) else value  # its text hides it
    description = str(Settings.model_fields[name].description)
    return SettingValue(name, env_name(name), shown, default_text(name), description)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, metavar="[COMMAND]")
def schema(words: tuple[str, ...]) -> None:
    """Print the JSON Schema of what a command prints with --json, or list the commands that print JSON.

    An option that changes the form belongs to the command.

    \b
    Examples:
      quoth schema
      quoth schema ask
      quoth schema show --at
      quoth schema feedback list
    """
    command = " ".join(words)
    if not command:
        click.echo("\n".join(OUTPUTS))
    elif command in OUTPUTS:
        click.echo(json.dumps(json_schema(command), indent=2))
    else:
        raise click.UsageError(f"there is no {command!r} among: {', '.join(OUTPUTS)}")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what lets a shell complete commands, options and the ids of documents.

    \b
    Examples:
      eval "$(quoth completion bash)"   # a line for ~/.bashrc
      eval "$(quoth completion zsh)"    # a line for ~/.zshrc
      quoth completion fish > ~/.config/fish/completions/quoth.fish
    """
    program = ctx.find_root()
    name = str(program.info_name)
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(program.command, {}, name, f"_{name.upper()}_COMPLETE").source())
