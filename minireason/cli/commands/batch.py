"""minireason batch: a file of questions, and a file of replies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minireason.cli import outcome
from minireason.cli.commands.batch_options import Batching
from minireason.cli.commands.batch_run import Done, kept, run
from minireason.cli.grouped import expand
from minireason.cli.options import Asked
from minireason.cli.remote import Remote
from minireason.cli.terminal import notes


@expand
def batch(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="IN.jsonl",
            help='The questions: lines like {"id": "q1", "question": "2 + 2?"}, with any setting.',
            show_default=False,
        ),
    ],
    *,
    how: Batching,
    asked: Asked,
    remote: Remote,
) -> int:
    """Answer a file of questions: one JSON object a line in and out.

    A line has a question or messages, perhaps an id, and any setting by its name.
    A file for OpenAI's batch API is answered too, in that API's form.

    A run that was stopped goes on when the same command is given again.
    """
    done = run(file, how, asked, remote)
    output = done.output
    if done.finished:
        notes.note(_summary(done))
    else:
        notes.error_line(f"Stopped with {kept(output)}; the same command goes on.")
        return outcome.INTERRUPTED
    return outcome.PARTLY_DONE if done.left_out else 0


def _summary(done: Done) -> str:
    """What there is now, and what this run took."""
    facts = [kept(done.output)]
    if done.output.cut_off:
        facts.append(f"{done.output.cut_off:,} of them cut off for want of tokens")
    if done.left_out:
        facts.append(f"{done.left_out:,} line{'s' if done.left_out > 1 else ''} left out")
    if done.tokens:
        rate = f"{done.tokens / max(1e-9, done.seconds):,.0f} tokens/s"
        facts.append(f"{done.tokens:,} tokens in {done.seconds:,.1f} s, {rate}")
    return "; ".join(facts)
