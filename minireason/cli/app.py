"""The commands by name; only those that a command line may mean are imported."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, NamedTuple

import typer

from minireason.cli.grouped import Sectioned
from minireason.version import __version__


class _Command(NamedTuple):
    """Where the function of a command is, or a typer app with the commands below one."""

    module: str
    name: str
    sectioned: bool = False


COMMANDS = {
    "ask": _Command("ask", "ask", sectioned=True),
    "chat": _Command("chat", "chat", sectioned=True),
    "models": _Command("models", "models"),
    "show": _Command("models", "show"),
    "pull": _Command("pull", "pull"),
    "rm": _Command("pull", "rm"),
    "verify": _Command("pull", "verify"),
    "doctor": _Command("doctor", "doctor"),
    "import": _Command("pull", "import_models"),
    "solve": _Command("solve", "solve", sectioned=True),
    "batch": _Command("batch", "batch", sectioned=True),
    "eval": _Command("eval", "evaluate", sectioned=True),
    "bench": _Command("bench", "bench", sectioned=True),
    "serve": _Command("serve", "serve", sectioned=True),
    "sessions": _Command("sessions", "app"),
}
"""In the order of the help."""


def app_for(arguments: list[str]) -> typer.Typer:
    """The command line as far as these arguments need it: the command they begin with, or all."""
    app = typer.Typer(
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(
        invoke_without_command=True,
        help="Run distilled DeepSeek-R1 models on your own machine, with their thinking streamed.",
    )(_main)
    for name in COMMANDS.keys() & arguments[:1] or COMMANDS:
        module, attribute, sectioned = COMMANDS[name]
        command = getattr(import_module(f"minireason.cli.commands.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, cls=Sectioned if sectioned else None)(command)
    return app


def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    if version:
        print(f"minireason {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
