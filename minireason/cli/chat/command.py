"""minireason chat and minireason sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from minireason import transcript
from minireason.cli import options, render
from minireason.cli.options import Asked
from minireason.errors import SessionError, UsageError

if TYPE_CHECKING:
    from minireason.cli.chat.loop import Chat


def chat(
    model: options.Model = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    max_tokens: options.MaxTokens = None,
    system: options.System = None,
    ctx: options.Ctx = None,
    threads: options.Threads = None,
    gpu_layers: options.GpuLayers = None,
    offline: options.Offline = False,
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
    from minireason.cli.chat import commands, loop, reading
    from minireason.reasoner import Reasoner, load

    asked = Asked.of(
        model,
        system,
        offline,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        max_tokens=max_tokens,
        n_ctx=ctx,
        n_threads=threads,
        n_gpu_layers=gpu_layers,
    )
    if go_on and session:
        raise UsageError("Give --continue or --session NAME, not both.")
    fold = thinking == "fold" or (thinking is None and loop.on_terminal() and not plain)
    sink = render.Thinking("stderr" if fold or thinking is None else thinking)
    progress = render.Progress()

    def open_model(name: str) -> Reasoner:
        progress.loading(name)
        try:
            return load(name, on_progress=progress.loaded_share, **asked.load)
        finally:
            progress.clear()

    state = None
    try:
        reasoner = open_model(asked.model_name())
        talk = reasoner.chat(system=asked.system, read_ahead=True)
        state = loop.Chat(reasoner, talk, asked.settings, open_model, sink, "fold" if fold else "show", plain)
        begin(state, go_on, session)
        if asked.system and asked.system != talk.system:
            talk.system = asked.system
        loop.save_when_hung_up(state)
        reader = reading.reader(commands.helps(), commands.names, lambda: commands.show_thinking(state), plain)
        if not isinstance(reader, reading.Lines):
            render.note(f"{reasoner.name}. Alt-Enter makes a new line, Ctrl-C while it thinks: answer now. /help lists the commands.")
        state.run(reader, commands.handle)
    finally:
        progress.clear()
        sink.close()
        if state:
            state.session.close()
            state.reasoner.close()
    return 0


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
