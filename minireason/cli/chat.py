"""minireason chat: a conversation in the terminal."""

from __future__ import annotations

import sys

from minireason.cli import options, render
from minireason.cli.options import Asked
from minireason.errors import ContextFull, UsageError

_HELP = "/exit leaves, /clear forgets the conversation, /help shows this. Ctrl-C stops a reply, Ctrl-D leaves."


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
    thinking: options.Thinking = None,
) -> int:
    """Talk with a model; earlier answers are remembered, earlier thinking is not."""
    from minireason.cli.show import show
    from minireason.reasoner import load

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
    sink = render.Thinking(thinking or "stderr")
    progress = render.Progress()
    try:
        name = asked.model_name()
        progress.loading(name)
        with load(name, on_progress=progress.loaded_share, **asked.load) as reasoner:
            progress.clear()
            session = reasoner.chat(system=asked.system)
            if sys.stdin.isatty():
                print(f"{reasoner.name}. {_HELP}", file=sys.stderr)
            while (line := _read_line()) is not None:
                if line.startswith("/"):
                    if _command(line) == "/exit":
                        break
                    if _command(line) == "/clear":
                        session.clear()
                elif line:
                    try:
                        turn = session.stream(line, on_prefill=progress.prefill, **asked.settings)
                        progress.say("thinking ...")
                        render.facts(show(turn, sink, render.Answer(), progress))
                    except (ContextFull, UsageError) as error:
                        render.error_line(f"{error} /clear starts afresh.")
                    except KeyboardInterrupt:  # a second Ctrl-C, or one before the reply had begun
                        progress.clear()
    finally:
        progress.clear()
        sink.close()
    return 0


def _read_line() -> str | None:
    """The next line typed, None at the end of input; Ctrl-C drops the line being typed."""
    if sys.stdin.isatty():
        import readline  # noqa: F401 - gives input() history and editing
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "").strip()
            line.encode("utf-8")  # in a C locale Python lets bytes that are not UTF-8 through, as lone surrogates
            return line
        except EOFError:
            return None
        except KeyboardInterrupt:
            print("\n(/exit or Ctrl-D leaves)", file=sys.stderr)
        except UnicodeError:
            render.error_line("That line is not UTF-8 text, so it was left out.")


def _command(line: str) -> str:
    command = line.split()[0]
    if command == "/quit":
        command = "/exit"
    if command == "/help":
        print(_HELP, file=sys.stderr)
    elif command not in ("/exit", "/clear"):
        render.error_line(f"There is no command {command}. {_HELP}")
    return command
