"""Text wrapped at its words for a terminal, which would break it in the middle of one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from rich.cells import cell_len

from minireason.cli.terminal import output
from minireason.cli.terminal.output import harmless

if TYPE_CHECKING:
    from rich.console import Console

_BETWEEN_PARTS = re.compile("(?<= [|·])(?= )")
_WORD = re.compile(" *[^ ]+| +$")
_TAB = 8
_LITTLE = 4
"""A line of which less than one part in so many is filled is hardly begun."""


def print_wrapped(
    text: str, *, errors: bool = False, style: str = "", indent: str = "", end: str = "\n"
) -> None:
    """Print lines on standard output, or standard error for `errors`: as they are in a pipe.

    On a terminal `indent` is what the further lines of a wrapped one begin with.
    """
    text = harmless(text)
    console = output.console(errors=errors) if output.is_terminal(errors=errors) else None
    if console is None or not wraps(console):
        print(text, end=end, file=sys.stderr if errors else sys.stdout, flush=True)
        return
    from rich.text import Text

    lines = (wrapped(line, console.width, indent) for line in text.split("\n"))
    whole = "\n".join(chain.from_iterable(lines))
    console.print(Text(whole, style=style), soft_wrap=True, end=end)


def wraps(console: Console) -> bool:
    """Tell whether this is a terminal whose width is known."""
    return console.is_terminal and not console.is_dumb_terminal


def wrapped(line: str, width: int, indent: str = "") -> list[str]:
    """Break a line into lines of at most `width` columns, the further ones set in by `indent`.

    What stands between two bars or dots stays together where a line has room for it. A word that
    is wider than a line is left to the terminal, so that it can be copied, and begins a new line
    unless there is little before it.
    """
    room = width - cell_len(indent)
    lines, current = [], ""
    for piece in _pieces(line.expandtabs(_TAB), room):
        too_wide = cell_len(piece.lstrip(" ")) > room
        full = width // _LITTLE if too_wide else width - cell_len(piece)
        if current.strip() and cell_len(current) > full:
            lines.append(current)
            current = indent + piece.lstrip(" ")
        else:
            current += piece
    return [*lines, current]


def _pieces(line: str, room: int) -> Iterator[str]:
    """Yield what is not broken: the parts of a line that fit in one, the words of the others."""
    for number, part in enumerate(_BETWEEN_PARTS.split(line)):
        shown = part.lstrip(" ") if number else part  # the line's own blanks are kept
        if cell_len(shown) <= room:
            yield part
        else:
            yield from _WORD.findall(part)


class WordWrap:
    """Wraps text that comes in pieces; a word waits until it has come to its end.

    The blanks in whose place a line is broken are left out. A word that is wider than a line is
    left to the terminal, and so that nobody waits for the end of a line of Chinese, each wide
    character is a word.
    """

    def __init__(self) -> None:
        self._column = 0
        self._blanks = self._word = ""
        self._too_long = False

    def feed(self, text: str, width: int) -> str:
        """Return what can be printed now in so many columns; the text has no controls."""
        shown = ""
        for character in text:
            if character in " \t\n":
                shown += self.flush(width) + self._blank(character)
            elif self._too_long:
                shown += character
                self._column = (self._column + cell_len(character)) % width
            else:
                shown += self._of_word(character, width)
        return shown

    def flush(self, width: int) -> str:
        """Return the word that waits, or what there is of it."""
        word, blanks = self._word, self._blanks
        if not word:
            return ""
        self._word = self._blanks = ""
        column = len((" " * self._column + blanks).expandtabs(_TAB))
        before = " " * (column - self._column)
        if column + cell_len(word) > width:
            before, column = "\n" if self._column else "", 0
        self._column = column + cell_len(word)
        return before + word

    def _of_word(self, character: str, width: int) -> str:
        if cell_len(character) > 1:
            before = self.flush(width)
            self._word = character
            return before + self.flush(width)
        self._word += character
        if cell_len(self._word) <= width:
            return ""
        self._too_long = True
        shown = self.flush(width)
        self._column %= width
        return shown

    def _blank(self, character: str) -> str:
        self._too_long = False
        if character != "\n":
            self._blanks += character
            return ""
        self._column, self._blanks = 0, ""
        return "\n"
