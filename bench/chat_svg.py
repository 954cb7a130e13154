"""Record a real chat with the built-in model on a pseudo-terminal, and write its screen as an SVG.

`python bench/chat_svg.py docs/images/chat.svg`
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
    picture = console.export_svg(title="minireason chat --model tiny")
    local = re.sub(r'(src: local\("[^"]+"\)),\s*url\([^;]*;', r"\1;", picture)
    Path(sys.argv[1]).write_text(local, "utf-8")  # without rich's fonts from the network


if __name__ == "__main__":
    main()
