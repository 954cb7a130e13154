"""An answer: as it comes into a pipe, as markdown on a terminal."""

from __future__ import annotations

import sys
import time

from rich.markdown import Markdown
from rich.theme import Theme

from minireason.cli import output
from minireason.cli.latex import in_markdown
from minireason.cli.output import harmless
from minireason.cli.region import Region, can_redraw

_REFRESH_S, _MOST_OF_THE_TIME = 0.1, 0.1
_STYLES = {"markdown.code": "bold cyan", "markdown.list": "none"}
_CODE_THEME = "ansi_dark"
"""Of the terminal's own colours, without a background, which would fill lines to their end."""


class Answer:
    """The answer on standard output, as it comes into a pipe or if it is `plain`, else block by block.

    The block being written is drawn again in place; a finished one stays. A block is finished by a blank line outside a code
    fence and a line that is not indented, as the further lines of a list's entry are.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self._console = output.console(theme=Theme(_STYLES))
        self._region = Region(self._console) if can_redraw() and not plain else None
        self._block, self._spaced = "", False
        self._next_draw = 0.0

    def write(self, text: str) -> None:
        if self._region is None:
            sys.stdout.write(harmless(text))
            sys.stdout.flush()
            return
        self._block += harmless(text)
        while (end := block_end(self._block)) is not None:
            self._finish(self._region, self._block[:end])
            self._block = self._block[end:]
        if self._block.strip() and time.monotonic() > self._next_draw:
            self._draw(self._region)

    def end(self) -> None:
        """The answer is over."""
        if self._region is None:
            sys.stdout.write("\n")
            sys.stdout.flush()
        else:
            self._finish(self._region, self._block)
        self._block, self._spaced = "", False

    def _draw(self, region: Region) -> None:
        began = time.monotonic()
        region.draw(_rendered(self._block), spaced=self._spaced)
        now = time.monotonic()
        self._next_draw = now + max(
            _REFRESH_S, (now - began) / _MOST_OF_THE_TIME
        )  # a long block must not keep the model waiting

    def _finish(self, region: Region, block: str) -> None:
        if not block.strip():
            region.clear()
            return
        region.leave(_rendered(block), spaced=self._spaced)
        self._spaced = True


def _rendered(block: str) -> Markdown:
    """Markdown with formulas made readable and nothing that a click could follow elsewhere than it says."""
    return Markdown(in_markdown(block), code_theme=_CODE_THEME, hyperlinks=False)


def block_end(text: str) -> int | None:
    """Where the first finished block of markdown ends."""
    fenced = begun = blank = False
    start = 0
    for line in text.split("\n"):
        if blank and line and not line[0].isspace():
            return start
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        begun = begun or bool(line.strip())
        blank = begun and not fenced and not line.strip()
        start += len(line) + 1
    return None
