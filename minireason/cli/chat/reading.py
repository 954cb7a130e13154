"""What comes in: from a person at a terminal, from a plain terminal, or from a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Protocol

from minireason.cli.terminal import notes
from minireason.cli.terminal.drawing import can_redraw


class Reader(Protocol):
    """Where questions and commands come from."""

    def read(self, default: str = "") -> str:
        """The next one; raises EOFError at the end and KeyboardInterrupt at Ctrl-C."""
        ...


def reader(
    commands: dict[str, str], names: Callable[[str], Iterable[str]], on_unfold: Callable[[], None]
) -> Reader:
    """The best reader for where this runs."""
    if not (sys.stdin.isatty() and can_redraw()):
        return Lines()
    from minireason.cli.chat.editor import Editor

    return Editor(commands, names, on_unfold)


class Lines:
    """Reads line by line, from a pipe or a plain terminal.

    A backslash at the end of a line goes on with the next.
    """

    def read(self, default: str = "") -> str:
        if default:
            notes.note(f"(was: {default})")
        line = self._line("> ")
        while line.endswith("\\"):
            try:
                line = f"{line[:-1]}\n{self._line('  ')}"
            except EOFError:
                return line[:-1]
        return line

    def _line(self, prompt: str) -> str:
        if sys.stdin.isatty():
            print(prompt, end="", file=sys.stderr, flush=True)
        while True:
            try:
                line = input()
                # in a C locale bytes that are not UTF-8 come through as lone surrogates
                line.encode("utf-8")
                return line.rstrip("\r")
            except UnicodeError:
                notes.error_line("That line is not UTF-8 text, so it was left out.")
