"""minireason ask: one question, one answer."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from minireason.cli import options, render
from minireason.cli.options import Asked
from minireason.errors import UsageError
from minireason.events import Message, Reply


def ask(
    question: Annotated[
        str | None, typer.Argument(help="The question; text on standard input is added after a blank line.", show_default=False)
    ] = None,
    model: options.Model = None,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    max_tokens: options.MaxTokens = None,
    system: options.System = None,
    ctx: options.Ctx = None,
    threads: options.Threads = None,
    gpu_layers: options.GpuLayers = None,
    effort: options.Effort = None,
    thinking_budget: options.ThinkingBudget = None,
    thinking_seconds: options.ThinkingSeconds = None,
    no_loop_check: options.NoLoopCheck = False,
    schema: options.Schema = None,
    choice: options.Choice = None,
    regex: options.Regex = None,
    offline: options.Offline = False,
    thinking: options.Thinking = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the reply, its token counts and times.")] = False,
) -> int:
    """Ask one question: the thinking goes to standard error, the answer to standard output."""
    asked = Asked.of(
        model,
        system,
        offline,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        max_tokens=max_tokens,
        effort=effort,
        thinking_budget=thinking_budget,
        thinking_seconds=thinking_seconds,
        loop_check=False if no_loop_check else None,
        schema=options.read_schema(schema),
        choices=choice or None,
        regex=regex,
        n_ctx=ctx,
        n_threads=threads,
        n_gpu_layers=gpu_layers,
    )
    text = whole_question(question)
    sink = render.Thinking(thinking or ("hide" if as_json else "stderr"))
    try:
        reply = run(asked, text, sink, None if as_json else render.Answer(plain=asked.structured))
    finally:
        sink.close()
    if as_json:
        print(to_json(reply))
    else:
        render.facts(reply)
    return 130 if reply.finish_reason == "cancelled" else 0


def run(asked: Asked, text: str, thinking: render.Thinking, answer: render.Answer | None) -> Reply:
    """Load the model, stream the reply, show it."""
    from minireason.cli.show import show
    from minireason.reasoner import load

    progress = render.Progress()
    try:
        name = asked.model_name()
        progress.loading(name)
        messages = [Message(role="system", content=asked.system)] if asked.system else []
        messages.append(Message(role="user", content=text))
        with load(name, on_progress=progress.loaded_share, **asked.load) as reasoner:
            stream = reasoner.stream(messages, on_prefill=progress.prefill, **asked.settings)
            progress.say("thinking ...")
            return show(stream, thinking, answer, progress)
    finally:
        progress.clear()


def whole_question(argument: str | None) -> str:
    """The argument, standard input, or both with a blank line between; raises UsageError if there is nothing."""
    parts = [argument or ""]
    if sys.stdin is not None and not sys.stdin.isatty():
        try:
            parts.append(sys.stdin.buffer.read().decode("utf-8").strip("\r\n"))
        except UnicodeDecodeError as error:
            raise UsageError(f"Standard input is not UTF-8 text (byte {error.start}); convert it first, for example with iconv.") from None
        except OSError:  # closed by whoever started us
            pass
    text = "\n\n".join(part for part in parts if part.strip())
    if not text:
        raise UsageError("There is no question; give one as an argument or on standard input.")
    return text


def to_json(reply: Reply) -> str:
    """The reply as one line of JSON."""
    return json.dumps(asdict(reply), ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf"))
