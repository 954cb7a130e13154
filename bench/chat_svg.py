"""Record a real chat with the built-in model on a pseudo-terminal and write its screen as an SVG: `python bench/chat_svg.py OUT.svg`."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time

import pexpect
import pyte
from rich.console import Console
from rich.text import Text

KEYS = ("What is 347 + 586?\r", "How many r's are in strawberry?\r", "/thinking\r", "/context\r")


def main() -> None:
    columns, rows = 84, 34
    screen = pyte.Screen(columns, rows)
    stream = pyte.Stream(screen)
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {
            "TERM": "xterm-256color",
            "MINIREASON_HOME": home,
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        command = ["-m", "minireason", "chat", "--model", "tiny", "--temperature", "0"]
        child = pexpect.spawn(
            sys.executable, command, encoding="utf-8", dimensions=(rows, columns), env=environment
        )
        for keys in ("", *KEYS):
            child.send(keys)
            quiet_since = time.monotonic()
            while (
                time.monotonic() < quiet_since + 2 or screen.display[screen.cursor.y].strip() != ">"
            ):
                try:
                    stream.feed(child.read_nonblocking(65536, 0.1))
                    quiet_since = time.monotonic()
                except pexpect.TIMEOUT:
                    continue
        child.close(force=True)
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    for row in range(rows):
        line = Text()
        for column in range(columns):
            cell = screen.buffer[row][column]
            line.append(cell.data, "bold" if cell.bold else "italic dim" if cell.italics else "")
        if line.plain.strip():
            console.print(Text.assemble(line), overflow="crop", no_wrap=True)
    console.save_svg(sys.argv[1], title="minireason chat --model tiny")


if __name__ == "__main__":
    main()
