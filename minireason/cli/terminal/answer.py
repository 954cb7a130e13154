"""An answer: as it comes into a pipe, as markdown on a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from minireason.cli.terminal import output
from minireason.cli.terminal.drawing import can_redraw
from minireason.cli.terminal.markdown.blocks import Blocks
from minireason.cli.terminal.output import harmless

if TYPE_CHECKING:
    from rich.console import RenderableType

    from minireason.cli.terminal.region import Region

_REFRESH_S, _MOST_OF_THE_TIME = 0.1, 0.1
_STYLES = {"markdown.code": "bold cyan"}


class Answer:
    """The answer on standard output: as it comes into a pipe or if it is `plain`, else by blocks.

    The block being written is drawn again in place; a finished one stays.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self._region = _region() if can_redraw() and not plain else None
        self._blocks = Blocks()
        self._spaced = False
        self._held = ""
        self._next_draw = 0.0

    def write(self, text: str) -> None:
        """Show what comes next of it."""
        text = harmless(self._whole(text))
        if self._region is None:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        for block in self._blocks.feed(text):
            self._finish(self._region, block)
        if time.monotonic() > self._next_draw:
            self.draw()

    def _whole(self, text: str) -> str:
        """The text but a carriage return at its end, which waits for a newline that may follow."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        return text.removesuffix("\r")

    def end(self) -> None:
        """The answer is over."""
        rest, self._held = harmless(self._held), ""
        if self._region is None:
            sys.stdout.write(f"{rest}\n")
            sys.stdout.flush()
            return
        for block in [*self._blocks.feed(rest), self._blocks.end()]:
            self._finish(self._region, block)
        self._spaced = False

    def draw(self) -> None:
        """Draw the block that is being written, as far as there is one."""
        block = self._blocks.unfinished
        if self._region is None or not block.strip():
            return
        began = time.monotonic()
        self._region.draw(_markdown(block), spaced=self._spaced)
        now = time.monotonic()
        self._next_draw = now + max(
            _REFRESH_S, (now - began) / _MOST_OF_THE_TIME
        )  # a long block must not keep the model waiting

    def _finish(self, region: Region, block: str) -> None:
        if not block.strip():
            region.clear()
            return
        region.leave(_markdown(block), spaced=self._spaced)
        self._spaced = True


def _region() -> Region:
    from rich.theme import Theme

    from minireason.cli.terminal.region import Region as Made

    return Made(output.console(theme=Theme(_STYLES)))


def _markdown(block: str) -> RenderableType:
    from minireason.cli.terminal.markdown.document import Markdown  # not before the first of it

    return Markdown(block)
