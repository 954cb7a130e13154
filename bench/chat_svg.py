"""Record a real chat with the built-in model on a pseudo-terminal as an SVG of its screen.

Usage: `python bench/chat_svg.py docs/images/chat.svg`
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import pexpect
import pyte
from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 84, 34
KEYS = ("What is 347 + 586?\r", "How many r's are in strawberry?\r", "/thinking\r", "/context\r")
COMMAND = ["-m", "minireason", "chat", "--model", "tiny", "--temperature", "0"]
QUIET_S = 2.0
"""The program has done what it was asked when it has written nothing for so long."""


def recorded() -> pyte.Screen:
    """The screen after the chat."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.Stream(screen)
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {
            "TERM": "xterm-256color",
            "MINIREASON_HOME": home,
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        child = pexpect.spawn(
            sys.executable, COMMAND, encoding="utf-8", dimensions=(ROWS, COLUMNS), env=environment
        )
        for keys in ("", *KEYS):
            child.send(keys)
            read_until_prompt(child, screen, stream)
        child.close(force=True)
    return screen


def read_until_prompt(child: pexpect.spawn, screen: pyte.Screen, stream: pyte.Stream) -> None:
    """Read what the program writes until it waits for the next line."""
    quiet_since = time.monotonic()
    while (
        time.monotonic() < quiet_since + QUIET_S or screen.display[screen.cursor.y].strip() != ">"
    ):
        try:
            stream.feed(child.read_nonblocking(65536, 0.1))
            quiet_since = time.monotonic()
        except pexpect.TIMEOUT:
            continue


def style(cell: pyte.screens.Char) -> str:
    """How a cell of the screen is drawn."""
    if cell.bold:
        return "bold"
    return "italic dim" if cell.italics else ""


def main() -> None:
    screen = recorded()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for row in range(ROWS):
        cells = [screen.buffer[row][column] for column in range(COLUMNS)]
        line = Text.assemble(*((cell.data, style(cell)) for cell in cells))
        if line.plain.strip():
            console.print(line, overflow="crop", no_wrap=True)
    picture = console.export_svg(title="minireason chat --model tiny")
    local = re.sub(r'(src: local\("[^"]+"\)),\s*url\([^;]*;', r"\1;", picture)
    Path(sys.argv[1]).write_text(local, "utf-8")  # without rich's fonts from the network


if __name__ == "__main__":
    main()
