"""Commands about the thinking: how much of it, and how it is shown."""

from __future__ import annotations

from typing import get_args

from minireason.cli import idle
from minireason.cli.chat.loop import SET_BY, Chat
from minireason.cli.terminal import notes
from minireason.errors import UsageError, shortened
from minireason.settings import Effort, Settings

MOST = "max"
"""Said to /effort and /budget: as much as there is room for."""

SHOWN_AS = ("fold", "show", "hide")
"""Said to /thinking: how the thoughts to come are shown."""


def effort(chat: Chat, rest: str) -> None:
    """Set how much to think by a word, or say what is set; raises UsageError or BadSetting."""
    words = (*get_args(Effort), MOST)
    if rest and rest not in words:
        raise UsageError(f"/effort {shortened(rest)}: has to be one of {', '.join(words)}.")
    if rest:
        _set_thinking(chat, effort=None if rest == MOST else rest)
    _say_thinking(chat)


def budget(chat: Chat, rest: str) -> None:
    """Set how much to think in tokens, or say what is set; raises UsageError or BadSetting."""
    if rest and rest != MOST and not (rest.isascii() and rest.isdecimal()):
        raise UsageError(
            f"/budget takes a number of tokens, or {MOST} for as many as there is room for."
        )
    if rest:
        _set_thinking(chat, thinking_budget=None if rest == MOST else int(rest))
    _say_thinking(chat)


def thinking(chat: Chat, rest: str) -> None:
    """Show the last thought, or set how those to come are shown; raises UsageError."""
    if not rest:
        show_thinking(chat)
    elif rest in SHOWN_AS:
        chat.show_thinking_as(rest)
    else:
        raise UsageError(
            "/thinking shows the last thought; /thinking fold, show or hide says how the next "
            "ones come."
        )


def show_thinking(chat: Chat) -> None:
    """Show the last thought, unfolded, also of a reply that was stopped."""
    notes.faint(chat.thought or "(there is no thought to show)")


def say_idle(chat: Chat) -> None:
    """Say which settings of thinking change nothing for this model."""
    for line in idle.of_thinking(chat.settings, chat.reasoner, chat.names):
        notes.note(f"({line})")


def _set_thinking(chat: Chat, **changed: object) -> None:
    """Set effort or budget, which take each other's place; raises BadSetting."""
    others = {key: value for key, value in chat.settings.items() if key not in SET_BY}
    changes = others | {key: value for key, value in changed.items() if value is not None}
    Settings(**changes)
    chat.settings = changes


def _say_thinking(chat: Chat) -> None:
    said = [
        f"{name[1:]} {chat.settings[key]}" for key, name in SET_BY.items() if key in chat.settings
    ]
    notes.note(f"(thinking: {', '.join(said) or 'as much as there is room for'})")
    say_idle(chat)
