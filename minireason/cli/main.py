"""The command line: commands, and the one table from errors to exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated, cast

import typer

from minireason import __version__, errors
from minireason.cli import output, sessions, wording
from minireason.cli.ask import ask
from minireason.cli.chat.command import chat
from minireason.cli.doctor import doctor
from minireason.cli.eval import Evaluation, evaluate
from minireason.cli.grouped import Sectioned
from minireason.cli.models import models, show
from minireason.cli.options import Asked
from minireason.cli.pull import import_models, pull, rm, verify
from minireason.cli.solve import Vote, solve

PROGRAM = "minireason"

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.UsageError, 2),
    (errors.NotInstalled, 3),
    (errors.DoesNotFit, 4),
    (errors.ModelFileError, 5),
    (errors.StoreError, 6),
    (errors.MinireasonError, 1),
)
"""The first row that fits counts. Beside these: 0 done, 130 interrupted; a closed pipe ends quietly with 0."""

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (ask, chat):
    app.command(cls=Sectioned)(command)
for command in (models, show, pull, rm, verify, doctor):
    app.command()(command)
app.add_typer(sessions.app, name="sessions")
app.command("import")(import_models)
app.command(cls=Sectioned)(solve)
app.command("eval", cls=Sectioned)(evaluate)


_BadCommandLine = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""What typer raises for any of them; it carries its own copy of click, which has no public name for it."""


@app.callback(
    invoke_without_command=True,
    help="Run distilled DeepSeek-R1 models on your own machine, with their thinking streamed.",
)
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


def run() -> None:
    """The `minireason` program."""
    output.guard()
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command line and return its exit code; whatever goes wrong is one sentence on standard error."""
    from minireason.cli import render

    render.forgiving_streams()
    try:
        code = app(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except _BadCommandLine as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        message = error.format_message().rstrip(".")
        end = "" if message.endswith("?") else "."
        render.error_line(f"{message}{end} See {command} --help.")
        return 2
    except (BrokenPipeError, SystemExit) as leaving:
        if not isinstance(leaving, BrokenPipeError) and not isinstance(
            leaving.__context__, BrokenPipeError
        ):  # typer turns one into the other
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except errors.MinireasonError as error:
        names = wording.option_names(Asked, Vote, Evaluation)
        render.error_line(wording.as_typed(error, names))
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
