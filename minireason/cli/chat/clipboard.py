"""Copy to the system's clipboard by its own program, and to the terminal's by OSC 52.

The latter works over ssh.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys

from minireason.cli.terminal import output
from minireason.cli.terminal.drawing import can_redraw
from minireason.errors import UsageError

_PROGRAMS = (
    ["pbcopy"],
    ["wl-copy"],
    ["xclip", "-selection", "clipboard"],
    ["xsel", "-ib"],
    ["clip.exe"],
)
_MAX_OSC_BYTES = 74_000
_BLOCK = re.compile(r"^ {0,3}(```+|~~~+)[^\n]*\n(.*?)^ {0,3}\1", re.MULTILINE | re.DOTALL)


def part(answer: str, which: str) -> str:
    """The answer, or its block of code with this number, from 1; raises UsageError."""
    if not which:
        return answer
    blocks = [match[2] for match in _BLOCK.finditer(answer)]
    if not which.isdecimal() or not 0 < int(which) <= len(blocks):
        raise UsageError(
            "/copy takes nothing or the number of a block of code; "
            f"the last answer has {len(blocks)}."
        )
    return blocks[int(which) - 1]


def copy(text: str) -> str:
    """Copy a text; where to, in words. Raises UsageError if there is nowhere."""
    raw = text.encode()
    ways = []
    if can_redraw() and len(raw) <= _MAX_OSC_BYTES:
        terminal = output.direct(sys.stdout)
        terminal.write(f"\x1b]52;c;{base64.b64encode(raw).decode()}\x07")
        terminal.flush()
        ways.append("the terminal's clipboard, where it allows that")
    for command in _PROGRAMS:
        if shutil.which(command[0]):
            try:
                done = subprocess.run(
                    command,
                    input=raw,
                    stderr=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    timeout=5,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0:
                ways.insert(0, f"the clipboard by {command[0]}")
                break
    if not ways:
        raise UsageError(
            "There is no clipboard here: no terminal, and no pbcopy, wl-copy, xclip or xsel."
        )
    return " and ".join(ways)
