"""The command line, and the one table from errors to exit codes."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import cast

import typer

from minireason import errors
from minireason.cli import wording
from minireason.cli.app import app_for
from minireason.cli.outcome import INTERRUPTED
from minireason.cli.terminal import output

PROGRAM = "minireason"

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.UsageError, 2),
    (errors.NotInstalled, 3),
    (errors.NotServed, 3),
    (errors.DoesNotFit, 4),
    (errors.ModelFileError, 5),
    (errors.StoreError, 6),
    (errors.MinireasonError, 1),
)
"""The first row that fits counts. Beside these: 0 done, 7 partly done, 130 interrupted.

A closed pipe ends quietly with 0, and an output that cannot be written is 6.
"""

_OUTPUT_FAILED = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EBADF,
    errno.EROFS,
}

_BadCommandLine = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
"""What typer raises for any of them; its own copy of click has no public name for it."""


def run() -> None:
    """The `minireason` program."""
    output.guard()
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run one command line and return its exit code.

    Whatever goes wrong is one sentence on standard error.
    """
    from minireason.cli.terminal import notes, output

    _open_closed_streams()
    output.forgiving_streams()
    try:
        code = _run(arguments)
        sys.stdout.flush()  # what is still buffered may not find room
        return code
    except (BrokenPipeError, SystemExit) as leaving:
        if not isinstance(leaving, BrokenPipeError) and not isinstance(
            leaving.__context__, BrokenPipeError
        ):  # typer turns one into the other
            raise
        _drop_output()
        return 0
    except OSError as error:
        _drop_output()
        with suppress(OSError):  # where standard error is what cannot be written
            notes.error_line(_cannot(error))
        _drop_output()
        return 6


def _run(arguments: list[str]) -> int:
    """Run one command line; errors of the tree, wrong options and Ctrl-C become exit codes here."""
    from minireason.cli.terminal import notes

    try:
        app = app_for(arguments)
        return int(app(arguments, prog_name=PROGRAM, standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except _BadCommandLine as error:
        command = error.ctx.command_path if error.ctx else PROGRAM
        message = wording.of_command_line(error.format_message(), command)
        notes.error_line(f"{message} See {command} --help.")
        return 2
    except errors.MinireasonError as error:
        notes.error_line(wording.as_typed(error, _option_names()))
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def _option_names() -> dict[str, str]:
    from minireason.cli.commands.batch_options import Batching
    from minireason.cli.commands.bench import Measuring
    from minireason.cli.commands.eval_options import Evaluation
    from minireason.cli.commands.serve import Serving
    from minireason.cli.commands.solve import Vote
    from minireason.cli.options import Asked

    return wording.option_names(Asked, Vote, Evaluation, Batching, Measuring, Serving)


def _cannot(error: OSError) -> str:
    """What to say of an error of the system's; one of a standard stream names no file."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return (
            f"{os.fsdecode(error.filename)} cannot be used ({reason}); mend that, or name another."
        )
    if error.errno in _OUTPUT_FAILED:
        return f"The output cannot be written ({reason}); make room there, or send it elsewhere."
    return f"Something failed that minireason did not expect ({reason}); try again."


def _open_closed_streams() -> None:
    """Let what is written to a standard stream that was closed before we began go nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, "w", encoding="utf-8"))


def _drop_output() -> None:
    """Send to nowhere what a broken standard stream holds, lest Python try again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
