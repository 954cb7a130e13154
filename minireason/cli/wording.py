"""Errors in the command line's own words: an option as it is typed, not an argument's name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_type_hints

from typer.models import OptionInfo

from minireason.errors import (
    BadSetting,
    ContextFull,
    DoesNotFit,
    MinireasonError,
    as_sentence,
    shortened,
)

_ASKING = ("ask", "solve")
"""The commands whose argument is a question."""

_ELSEWHERE = {
    "run": "for a conversation it is chat --model NAME, for one question ask",
    "list": "the models are listed by models",
    "ls": "the models are listed by models",
    "start": "a server is started by serve",
    "ps": "a model is in memory only while a command runs; GET /api/ps asks a server",
}
"""What other tools have as commands, and what there is here instead."""


def option_names(*groups: type) -> dict[str, str]:
    """The option of each setting that these dataclasses of options have a field for."""
    names: dict[str, str] = {}
    for group in groups:
        for name, hint in get_type_hints(group, include_extras=True).items():
            info = next(
                (
                    part
                    for part in getattr(hint, "__metadata__", ())
                    if isinstance(part, OptionInfo)
                ),
                None,
            )
            if info:
                # typer takes the first of them for a default
                said = [info.default, *(info.param_decls or ())]
                typed = [part for part in said if isinstance(part, str) and part.startswith("--")]
                names[name] = typed[0].split("/")[0] if typed else f"--{name.replace('_', '-')}"
    return names


def of_command_line(message: str, command: str) -> str:
    """What is wrong with a command line, as a sentence with the way out where one is known."""
    message = message.rstrip(".")
    unknown = re.match(r"No such command '([^']*)'", message)
    if unknown and command == "minireason" and unknown[1] in _ELSEWHERE:
        return f"{unknown[0]}; {_ELSEWHERE[unknown[1]]}."
    extra = re.match(r"Got unexpected extra argument\S* \((.*)\)$", message, re.DOTALL)
    if extra and command.split()[-1] in _ASKING:
        return f"{message}; put a question of several words in quotes."
    if extra and command == "minireason chat":
        return (
            f"{message}; chat takes no question: minireason ask {_quoted(extra[1])} answers one, "
            "or type it after minireason chat."
        )
    if message.startswith("No such option: --thinking ") and command == "minireason solve":
        return "No such option: --thinking; --show-chains writes the thinking of every chain."
    return as_sentence(message)


def _quoted(question: str) -> str:
    """A question as a shell takes it in quotes; "..." stands for one that is long or has signs."""
    plain = len(question) <= 60 and not set(question) & set('"$`\\!\n')
    return f'"{question}"' if plain else '"..."'


def as_typed(error: MinireasonError, names: Mapping[str, str]) -> str:
    """What an error says, with each of these names of settings as the user types it."""
    if isinstance(error, BadSetting):
        value = _typed(error.value)
        named = names.get(error.name)
        if named is None:
            return str(error)
        return as_sentence(f"{named} {shortened(value)}: {_in_words(error.problem, names)}")
    names_settings = isinstance(error, DoesNotFit | ContextFull)
    return _in_words(str(error), names) if names_settings else str(error)


def _typed(value: object) -> str:
    """A value as the user typed it; several are those of an option that was given several times."""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else repr(value)


def _in_words(text: str, names: Mapping[str, str]) -> str:
    """The text with "name=3" as "--name 3", and whatever else can only be the name of a setting.

    A single word such as "stop" can be one, or just a word; only after "combined with" it is one.
    """
    for name, option in names.items():
        text = re.sub(rf"\b{name}=", f"{option} ", text)
        text = re.sub(rf"(?<=combined with ){name}\b", option, text)
        if "_" in name:
            text = re.sub(rf"(?<![\w-]){name}\b", option, text)
    return text
