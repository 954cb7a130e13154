"""minireason sessions: list, show and remove what minireason chat has kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from minireason.cli.terminal import notes, output, table
from minireason.cli.terminal.table import Columns
from minireason.conversation import transcript
from minireason.errors import SessionError

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = Columns(left=(0, 2, 3), drop=(2, 1), cut=3)


def complete(start: str) -> Iterator[str]:
    """Names of sessions for the shell's completion, but for those that nobody can type."""
    names = (path.stem for path in transcript.listed())
    yield from (name for name in names if name.startswith(start) and name.isprintable())


@app.callback(invoke_without_command=True)
def sessions(context: typer.Context) -> int:
    """List, show or remove the sessions that chat has kept.

    Without a command they are listed, the last used first.
    """
    return print_list() if context.invoked_subcommand is None else 0


@app.command("show")
def show_session(
    name: Annotated[
        str,
        typer.Argument(
            help="The name of a session, or the path of its file (.jsonl).",
            autocompletion=complete,
            show_default=False,
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with all turns.")
    ] = False,
) -> int:
    """Show a conversation.

    On a terminal it looks as it did in the chat; in a pipe it is markdown.
    """
    from minireason.cli.chat import export, replay

    found = transcript.read(transcript.path_of(name))
    for problem in found.problems:
        notes.note(f"({name}: {problem})")
    if as_json:
        print(export.to_json(found.history), end="")
    elif output.console().is_terminal:
        if found.history.system:
            notes.note(f"(system prompt: {found.history.system})")
        replay.show(found.history.turns, "fold")
    else:
        print(export.to_markdown(found.history), end="")
    return 0


@app.command("rm")
def remove_sessions(
    names: Annotated[
        list[str],
        typer.Argument(help="Names of sessions.", autocompletion=complete, show_default=False),
    ],
) -> int:
    """Remove sessions.

    One that is open in a chat is refused.
    """
    for name in names:
        _remove(transcript.path_of(name))
        print(f"{name} is removed.")
    return 0


def print_list(*, errors: bool = False) -> int:
    """Print a line for each session, on standard output or on standard error for `errors`."""
    rows = []
    for path in transcript.listed():
        try:
            turns = transcript.read(path).history.turns
        except SessionError as error:
            notes.error_line(str(error))
            continue
        first = " ".join(turns[0].question.split()) if turns else ""
        rows.append([path.stem, str(len(turns)), _local(turns[-1].at) if turns else "", first[:60]])
    if rows:
        headers = ["session", "turns", "last", "begins with"]
        table.print_table(headers, rows, _COLUMNS, errors=errors)
    else:
        notes.note("There are no sessions yet; minireason chat begins one.")
    return 0


def _remove(path: Path) -> None:
    if not path.is_file():
        raise SessionError(f"There is no session {path}; minireason sessions lists them.")
    if path not in transcript.listed():
        raise SessionError(
            f"{path} is not among the sessions that minireason keeps; remove the file yourself."
        )
    lock = transcript.Lock(path)
    try:
        path.unlink()
    except OSError as error:
        raise SessionError(f"{path} cannot be removed ({error.strerror}).") from None
    finally:
        lock.release()


def _local(at: str) -> str:
    """A turn's time as the clock here shows it; nothing for what is none."""
    with suppress(ValueError, OverflowError, OSError):
        return f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    return ""
