"""minireason sessions: list, show and remove what minireason chat has kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minireason.cli import session_list
from minireason.cli.terminal import notes, output
from minireason.conversation import transcript
from minireason.errors import SessionError

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def sessions(context: typer.Context) -> int:
    """List, show or remove the sessions that chat has kept.

    Without a command they are listed, the last used first.
    """
    if context.invoked_subcommand is None:
        session_list.print_list()
    return 0


@app.command("show")
def show_session(
    name: Annotated[
        str,
        typer.Argument(
            help="The name of a session, or the path of its file (.jsonl).",
            autocompletion=session_list.complete,
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

    session = transcript.read(transcript.path_of(name))
    for problem in session.problems:
        notes.note(f"({name}: {problem})")
    if as_json:
        print(export.to_json(session.history), end="")
    elif output.console().is_terminal:
        if session.history.system:
            notes.note(f"(system prompt: {session.history.system})")
        replay.show(session.history.turns, "fold")
    else:
        print(export.to_markdown(session.history), end="")
    return 0


@app.command("rm")
def remove_sessions(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Names of sessions.", autocompletion=session_list.complete, show_default=False
        ),
    ],
) -> int:
    """Remove sessions.

    One that is open in a chat is refused.
    """
    for name in names:
        _remove(transcript.path_of(name))
        print(f"{name} is removed.")
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
