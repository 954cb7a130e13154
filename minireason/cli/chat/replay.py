"""A saved conversation on the screen, as it stood there when it was held."""

from __future__ import annotations

import json
from collections.abc import Sequence

from minireason.cli.terminal import facts, notes, output
from minireason.cli.terminal.answer import Answer
from minireason.conversation.history import Turn

SHOWN_TURNS = 50
"""Of a longer conversation that is gone on with, only so many turns are shown."""

_ENDED = facts.ENDED | {"interrupted": "cut off with the program"}


def show(turns: Sequence[Turn], thinking: str) -> None:
    """Show turns with their thoughts folded ("fold"), left out ("hide") or written out (else)."""
    for turn in turns:
        _question(turn.question)
        if turn.thinking and thinking == "fold":
            notes.dim(folded(turn))
        elif turn.thinking and thinking != "hide":
            notes.dim(f"{turn.thinking}\n")
        answer = Answer(plain=_is_json(turn.answer))
        answer.write(turn.answer)
        answer.end()
        _facts(turn)


def folded(turn: Turn) -> str:
    """The line that a thought was folded to."""
    return f"thought for {turn.thought_s:.0f} s, {turn.thinking_tokens:,} tokens"


def _question(text: str) -> None:
    print("\n> " + text.replace("\n", "\n  "))


def _facts(turn: Turn) -> None:
    parts = [f"answered {turn.answer_tokens:,} tokens"]
    if turn.thinking_end in facts.CUT_SHORT:
        parts.insert(0, f"thought {facts.CUT_SHORT[turn.thinking_end]}")
    if turn.finish_reason in _ENDED:
        parts.append(_ENDED[turn.finish_reason])
    if output.console(errors=True).is_terminal:
        notes.dim(" · ".join(parts), style="dim italic")


def _is_json(answer: str) -> bool:
    """Whether this was an answer by a schema, which was shown as it is."""
    try:
        return isinstance(json.loads(answer), dict | list)
    except (ValueError, RecursionError):
        return False
