"""minireason chat and minireason sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from minireason import transcript
from minireason.cli import render
from minireason.cli.grouped import expand
from minireason.cli.options import Asked
from minireason.errors import SessionError, UsageError

if TYPE_CHECKING:
    from minireason.cli.chat.loop import Chat
    from minireason.cli.chat.reading import Reader


@expand
def chat(
    *,
    asked: Asked,
    thinking: Annotated[
        str | None,
        typer.Option(
            help="Where the thinking goes: fold (a few live lines, then one), show (standard output), stderr, hide, or a file.",
            show_default="fold on a terminal, else stderr",
        ),
    ] = None,
    go_on: Annotated[bool, typer.Option("--continue", "-c", help="Go on with the last session.")] = False,
    session: Annotated[
        str | None, typer.Option("--session", "-s", help="Go on with this session, or begin it.", show_default=False)
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="No line editing, no live lines, no formatting.")] = False,
) -> int:
    """Talk with a model; earlier answers are remembered, earlier thinking is kept and not shown to the model again."""
    from minireason.cli.chat import commands, loop

    if go_on and session:
        raise UsageError("Give --continue or --session NAME, not both.")
    fold = thinking == "fold" or (thinking is None and loop.on_terminal() and not plain)
    sink = render.Thinking("stderr" if fold or thinking is None else thinking)
    state = None
    try:
        state = opened(asked, sink, "fold" if fold else "show", plain)
        begin(state, go_on, session)
        if asked.system and asked.system != state.session.system:
            state.session.system = asked.system
        loop.save_when_hung_up(state)
        state.run(reader(state), commands.handle)
    finally:
        sink.close()
        if state:
            state.session.close()
            state.reasoner.close()
    return 0


def opened(asked: Asked, sink: render.Thinking, thinking: str, plain: bool) -> Chat:
    """Load the model and make an empty chat with it."""
    from minireason.cli.chat import loop
    from minireason.reasoner import Reasoner, load

    progress = render.Progress()

    def open_model(name: str) -> Reasoner:
        progress.loading(name)
        try:
            return load(name, on_progress=progress.loaded_share, **asked.load)
        finally:
            progress.clear()

    reasoner = open_model(asked.model_name())
    session = reasoner.chat(system=asked.system, read_ahead=True)
    return loop.Chat(reasoner, session, dict(asked.settings), open_model, sink, thinking, plain)


def reader(chat: Chat) -> Reader:
    """What reads the user's lines; on a terminal it says how."""
    from minireason.cli.chat import commands, reading

    found = reading.reader(commands.helps(), commands.names, lambda: commands.show_thinking(chat), chat.plain)
    if not isinstance(found, reading.Lines):
        render.note(f"{chat.reasoner.name}. Alt-Enter makes a new line, Ctrl-C while it thinks: answer now. /help lists the commands.")
    return found


def begin(chat: Chat, go_on: bool, name: str | None) -> None:
    """Load the session asked for, or begin one; raises SessionError."""
    from minireason.cli.chat.commands import load_session

    if go_on:
        found = transcript.listed()
        if not found:
            raise SessionError("There is no session yet to continue; minireason chat begins one.")
        load_session(chat, found[0])
    elif name and (path := transcript.path_of(name)).exists():
        load_session(chat, path)
    else:
        chat.session.save_to(transcript.path_of(name) if name else transcript.new_path())


def sessions() -> int:
    """List the sessions that minireason chat has kept, the last used first."""
    rows = []
    for path in transcript.listed():
        try:
            turns = transcript.read(path).history.turns
        except SessionError as error:
            render.error_line(str(error))
            continue
        first = " ".join(turns[0].question.split()) if turns else ""
        rows.append([path.stem, str(len(turns)), turns[-1].at[:16] if turns else "", first[:60]])
    if rows:
        render.table(["session", "turns", "last", "begins with"], rows)
    else:
        render.note("There are no sessions yet; minireason chat begins one.")
    return 0
