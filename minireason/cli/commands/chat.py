"""minireason chat: a conversation in the terminal or a pipe."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minireason.cli import idle, outcome, session_list
from minireason.cli.grouped import expand
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes
from minireason.cli.terminal.progress import Progress
from minireason.conversation import transcript
from minireason.errors import SessionError, UsageError

if TYPE_CHECKING:
    from minireason.cli.chat.loop import Chat
    from minireason.cli.chat.reading import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """The options that say which session it is; raises UsageError where they contradict."""

    go_on: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the last session.")
    ] = False
    session: Annotated[
        str | None,
        typer.Option(
            "--session",
            "-s",
            metavar="NAME",
            help="Go on with the session of this name, or begin it.",
            autocompletion=session_list.complete,
            show_default=False,
        ),
    ] = None
    session_file: Annotated[
        str | None,
        typer.Option(
            "--session-file",
            metavar="PATH",
            help="The same with a session in a file of yours, which ends in .jsonl.",
            show_default=False,
        ),
    ] = None
    no_save: Annotated[
        bool,
        typer.Option(
            "--no-save",
            help="Keep nothing of this conversation. In a pipe only a session with a name is kept.",
        ),
    ] = False

    def __post_init__(self) -> None:
        if bool(self.go_on) + bool(self.session) + bool(self.session_file) > 1:
            raise UsageError("Give one of --continue, --session NAME and --session-file PATH.")
        if self.no_save and (self.go_on or self.session or self.session_file):
            raise UsageError("Give --no-save, or a session to save to, not both.")

    def path(self) -> Path | None:
        """The file of the session asked for, None for a new one.

        Raises SessionError if there is none, or if it is in use, and UsageError for a name or a
        path that is none.
        """
        path = self._path()
        if path:
            transcript.Lock(path).release()  # to say so before a model is loaded
        return path

    def _path(self) -> Path | None:
        if self.go_on:
            listed = transcript.listed()
            if not listed:
                raise SessionError(
                    "There is no session yet to continue; minireason chat begins one."
                )
            return listed[0]
        if self.session_file:
            return _file(self.session_file)
        return _named(self.session) if self.session else None


def _file(path: str) -> Path:
    if not path.endswith(transcript.SUFFIX):
        raise UsageError(f"--session-file {path}: the file of a session ends in .jsonl.")
    return transcript.path_of(path)


def _named(name: str) -> Path:
    if os.sep in name or name.endswith(transcript.SUFFIX):
        raise UsageError(
            f"--session {name}: that is a path and no name; "
            "for a session in a file of yours there is --session-file PATH."
        )
    return transcript.path_of(name)


@expand
def chat(
    *,
    asked: Asked,
    remote: Remote,
    thinking: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Where the thinking goes: fold (a few live lines, then one), "
            "show (standard output), stderr, hide, or a file.",
            show_default="fold on a terminal, else stderr",
        ),
    ] = None,
    saving: Saving,
    plain: Annotated[
        bool, typer.Option("--plain", help="No line editing, no live lines, no formatting.")
    ] = False,
) -> int:
    """Talk with a model.

    Earlier answers are remembered. Earlier thinking is kept, and not shown to the model again.
    """
    from minireason.cli.chat import commands, terminal

    if plain:
        os.environ["TERM"] = "dumb"
    path = saving.path()
    state = opened(asked, remote, thinking or "fold")
    try:
        lines = reader(state)
        begin(state, path, save=not saving.no_save)
        if asked.system and asked.system != state.session.system:
            state.session.system = asked.system
        terminal.when_closed(lambda: state.running.save() if state.running else None)
        state.run(lines, commands.handle)
    finally:
        _close(state)
    lost = state.session.unsaved or state.thoughts.lost
    return state.exit_code or (outcome.NOT_SAVED if lost else 0)


def _close(state: Chat) -> None:
    """End a chat, and say what of it could not be saved."""
    state.session.close()
    state.reasoner.close()
    if state.session.unsaved:
        notes.error_line(f"{state.session.unsaved} What was said last is lost.")
    state.thoughts.close()


def opened(asked: Asked, remote: Remote, thinking: str) -> Chat:
    """Load the model and make an empty chat with it."""
    from minireason.cli.chat import loop
    from minireason.reasoner import Reasoner, load

    progress = Progress()

    def open_model(name: str) -> Reasoner:
        try:
            return remote.open(
                name,
                progress,
                lambda: load(name, on_progress=progress.loaded_share, **asked.load),
            )
        finally:
            progress.clear()

    name = remote.model_name(asked)
    reasoner = open_model(name)
    try:
        idle.say(asked, reasoner, name)
        session = reasoner.chat(system=asked.system, read_ahead=True)
        return loop.Chat(reasoner, session, dict(asked.settings), open_model, name, thinking)
    except BaseException:
        reasoner.close()
        raise


def reader(chat: Chat) -> Reader:
    """What reads the user's lines; on a terminal it says how."""
    from minireason.cli.chat import commands, reading
    from minireason.cli.chat.acts.thinking import show_thinking

    names = functools.partial(commands.names, chat)
    best = reading.reader(commands.helps(), names, lambda: show_thinking(chat))
    if not isinstance(best, reading.Lines):
        stop = "Ctrl-C: stop an answer"
        if chat.reasoner.thinks:
            stop = "Ctrl-C while it thinks: answer now"
        notes.note(f"{chat.reasoner.name} · {stop} · /help: commands and keys")
    return best


def begin(chat: Chat, path: Path | None, *, save: bool) -> None:
    """Load a session, or begin it; one without a name only where a person types.

    Raises SessionError.
    """
    from minireason.cli.chat.acts.sessions import load_session

    if path and path.exists():
        load_session(chat, path)
    elif path or (save and sys.stdin is not None and sys.stdin.isatty()):
        chat.session.save_to(path)
