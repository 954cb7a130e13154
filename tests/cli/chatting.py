"""What the tests of the chat on a pseudo-terminal begin with, and wait for."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from minireason.cli.chat import commands
from minireason.cli.chat.editor import CommandCompleter
from minireason.cli.chat.loop import Chat
from minireason.conversation import transcript
from tests.cli.pseudo_terminal import CTRL_C, Terminal

TINY = ("chat", "--model", "tiny", "--threads", "1", "--temperature", "0")
STORY = "Tell a long story of a fox."
NOISE = ("--temperature", "5", "--top-p", "1", "--no-loop-check")
"""Of a model with random weights."""
SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] [a-z]+ [0-9]+ s")


def writing(terminal: Terminal) -> None:
    """Wait until the answer to STORY has begun."""

    def begun() -> bool:
        shown = terminal.text.partition(STORY)[2]
        return len(shown) > 20 and "Ctrl-C" not in shown

    terminal.until(begun)


def end_noise(terminal: Terminal) -> None:
    """Land an endless thought of noise, and stop the answer, which has no end either."""
    terminal.type(CTRL_C)
    terminal.until(lambda: len(terminal.text.partition("thought for")[2]) > 200)
    terminal.type(CTRL_C)
    terminal.see("answered")


def saved() -> list[dict[str, Any]]:
    """The turns in the file of the only session."""
    [path] = transcript.listed()
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    return [step["turn"] for step in steps if "turn" in step]


def completions(chat: Chat, typed: str) -> list[str]:
    """What is offered for a line of a chat."""
    completer = CommandCompleter(commands.helps(), functools.partial(commands.names, chat))
    offered = completer.get_completions(Document(typed), CompleteEvent())
    return [completion.text for completion in offered]
