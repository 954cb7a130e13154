"""minireason ask: one question, one answer."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from minireason.cli import idle, options, outcome
from minireason.cli.grouped import expand
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import facts, notes, output, retrying
from minireason.cli.terminal.progress import Progress
from minireason.cli.terminal.thinking import Thinking
from minireason.errors import UsageError
from minireason.events import Reply

if TYPE_CHECKING:
    from minireason.cli.terminal.answer import Answer


@expand
def ask(
    question: options.Question = None,
    *,
    asked: Asked,
    remote: Remote,
    thinking: options.Thinking = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object with the reply, its token counts and times."
        ),
    ] = False,
) -> int:
    """Ask one question.

    The thinking goes to standard error, the answer to standard output.
    """
    from minireason.cli.terminal.answer import Answer

    text = whole_question(question)
    thoughts = Thinking(thinking or ("hide" if as_json else "stderr"))
    try:
        answer = None if as_json else Answer(plain=asked.structured)
        reply = run(asked, remote, text, thoughts, answer)
    finally:
        thoughts.close()
    if as_json:
        print(output.json_line(asdict(reply)))
    else:
        facts.reply_facts(reply)
    served = remote.url is not None
    if problem := outcome.missing(reply, structured=asked.structured, served=served):
        notes.error_line(problem)
    code = outcome.of_reply(reply, structured=asked.structured)
    return code or (outcome.NOT_SAVED if thoughts.lost else 0)


def run(
    asked: Asked, remote: Remote, text: str, thinking: Thinking, answer: Answer | None
) -> Reply:
    """Load the model, stream the reply, show it."""
    from minireason.cli.terminal.show import show
    from minireason.reasoner import load

    progress = Progress()
    try:
        name = remote.model_name(asked)
        with remote.open(
            name,
            progress,
            lambda: load(name, on_progress=progress.loaded_share, **asked.load),
        ) as reasoner:
            idle.say(asked, reasoner, name)
            stream = reasoner.stream(
                asked.messages(text), on_prefill=progress.prefill, **asked.settings
            )
            progress.say("thinking ...", retrying.words(reasoner.backend))
            return show(stream, thinking, answer, progress.clear)
    finally:
        progress.clear()


def whole_question(argument: str | None) -> str:
    """The argument, standard input, or both with a blank line between.

    Raises UsageError if there is nothing.
    """
    parts = [argument or ""]
    if sys.stdin is not None and not sys.stdin.isatty():
        try:
            parts.append(sys.stdin.buffer.read().decode("utf-8").strip("\r\n"))
        except UnicodeDecodeError as error:
            raise UsageError(
                f"Standard input is not UTF-8 text (byte {error.start}); convert it first, "
                "for example with iconv."
            ) from None
        except OSError:  # closed by whoever started us
            pass
    text = "\n\n".join(part for part in parts if part.strip())
    if not text:
        raise UsageError("There is no question; give one as an argument or on standard input.")
    return text
