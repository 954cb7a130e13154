"""The slash commands: the table of them, and how a line finds its command."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import get_args

from minireason.cli.chat.acts import figures, model, sessions, thinking, turns
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal import notes
from minireason.conversation import transcript
from minireason.errors import MinireasonError
from minireason.settings import Effort

_COMMAND = re.compile(r"/([a-zA-Z]+|\?)(?:\s+(.*))?", re.DOTALL)
_ALIASES = {"quit": "exit", "bye": "exit", "?": "help"}


@dataclass(frozen=True, slots=True)
class Command:
    """What a command takes and does; `act` returns True to leave the chat."""

    takes: str
    about: str
    act: Callable[[Chat, str], bool | None]


def handle(chat: Chat, line: str) -> bool:
    """Give a question to the model, or do a command; True to leave."""
    match = _COMMAND.fullmatch(line)
    if not match:
        chat.ask(line)
        return False
    typed = match[1].lower()
    name = _ALIASES.get(typed, typed)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean /{near[0]}?" if near else "/help lists them."
        notes.error_line(f"There is no command /{name}; {hint}")
        return False
    try:
        return bool(COMMANDS[name].act(chat, (match[2] or "").strip()))
    # ValueError: a zero byte in a path, a number of 5,000 digits
    except (MinireasonError, OSError, ValueError) as error:
        notes.error_line(chat.in_words(error))
        return False


def helps() -> dict[str, str]:
    """Name -> help of every command."""
    return {name: command.about for name, command in COMMANDS.items()}


def names(chat: Chat, command: str) -> Iterable[str]:
    """What may follow a command."""
    match command:
        case "/model":
            return model.names(chat)
        case "/effort":
            return (*get_args(Effort), thinking.MOST)
        case "/thinking":
            return thinking.SHOWN_AS
        case "/load":
            return [path.stem for path in transcript.listed()]
        case _:
            return ()


def _help(_chat: Chat, _rest: str) -> None:
    listed = [(f"/{name} {each.takes}".rstrip(), each.about) for name, each in COMMANDS.items()]
    notes.definitions([*listed, *KEYS])


KEYS = (
    (
        "Alt-Enter, or \\ then Enter",
        "a new line; Tab completes, the arrows bring back what was typed",
    ),
    ("Ctrl-T", "unfold the last thought"),
    ("Ctrl-C", "while it thinks: answer now; in the answer: stop; twice on an empty line: leave"),
)

COMMANDS: dict[str, Command] = {
    "help": Command("", "this list", _help),
    "model": Command("[NAME]", "which model; go on with another", model.model),
    "effort": Command(
        "[LEVEL]",
        "how much it may think: none, low, medium, high; max: all there is room for",
        thinking.effort,
    ),
    "budget": Command("[TOKENS|max]", "how many tokens it may think", thinking.budget),
    "thinking": Command(
        "[fold|show|hide]", "the last thought; or how thoughts are shown", thinking.thinking
    ),
    "system": Command("[TEXT|none]", "the system prompt", turns.system),
    "file": Command("PATH", "put a text file into the next question", turns.file),
    "undo": Command("", "take the last turn back", turns.undo),
    "retry": Command("", "ask the last question again, with a new seed", turns.retry),
    "edit": Command("[QUESTION]", "change the last question and ask it again", turns.edit),
    "copy": Command("[N]", "copy the answer, or its Nth block of code", turns.copy),
    "save": Command("NAME|FILE.jsonl", "give this session a name, or a file", sessions.save),
    "load": Command("NAME|FILE.jsonl", "go on with another session", sessions.load),
    "export": Command("[FILE.md|FILE.json]", "write the conversation to a file", sessions.export),
    "sessions": Command("", "the sessions there are", sessions.sessions),
    "context": Command("", "what takes up the context", figures.context),
    "stats": Command("", "tokens and seconds of this session", figures.stats),
    "clear": Command("", "forget the conversation", sessions.clear),
    "exit": Command("", "leave", lambda _chat, _rest: True),
}
