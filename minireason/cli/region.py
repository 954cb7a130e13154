"""Lines at the bottom of the terminal that are drawn again in their place; those that are done with stay."""

from __future__ import annotations

import os
import sys

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments

from minireason.cli.render import harmless

_CUTS_LINES = "XTERM_VERSION", "STY"
"""xterm and GNU screen set these."""


def can_redraw(*, errors_only: bool = False) -> bool:
    """Whether standard error, and unless `errors_only` standard output, is a terminal on which lines can be drawn over again."""
    clever = os.name == "nt" or os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return clever and sys.stderr.isatty() and (errors_only or sys.stdout.isatty())


class Region:
    """What was drawn last stands right above and before the cursor; how many rows that takes is worked out anew each time.

    For a terminal that became narrower has wrapped the lines again, all but the few kinds that cut them off instead.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []

    def draw(self, what: RenderableType, *, spaced: bool = False) -> None:
        """Put this in the place of what was drawn last; of what is taller than the terminal the end alone.

        Blank lines around it are left out; `spaced` puts one before it.
        """
        self._put(self._lines(what, spaced)[-max(1, self._console.height - 1) :])

    def leave(self, what: RenderableType, *, spaced: bool = False) -> None:
        """Put this in the place of what was drawn last, for good: what is drawn next comes below."""
        self._put(self._lines(what, spaced), "\n")
        self._widths = []

    def clear(self) -> None:
        """Take away what was drawn last."""
        if self._widths:
            self._put([])

    def _put(self, lines: list[list[Segment]], end: str = "") -> None:
        """All in one write, each line over an old one, so that nothing is ever seen half drawn or flickers."""
        text = "\x1b[K\n".join(map(self._encoded, lines))
        self._console.file.write(f"{self._to_start()}{text}\x1b[J{end}")
        self._console.file.flush()
        self._widths = [Segment.get_line_length(line) for line in lines]

    def _to_start(self) -> str:
        width = max(1, self._console.width)
        rows = sum(max(1, -(-line // width)) if _wraps_again() else 1 for line in self._widths)
        return f"\r\x1b[{rows - 1}A" if rows > 1 else "\r"

    def _lines(self, what: RenderableType, spaced: bool) -> list[list[Segment]]:
        width = max(
            2, self._console.width - 1
        )  # in the last column erasing to the end of a line would take a character with it
        options = self._console.options.update(width=width)
        lines = [_trimmed(line) for line in self._console.render_lines(what, options, pad=False)]
        while lines and not lines[-1]:
            lines.pop()
        first = next((number for number, line in enumerate(lines) if line), 0)
        return [[], *lines[first:]] if spaced else lines[first:]

    def _encoded(self, line: list[Segment]) -> str:
        with self._console.capture() as captured:
            self._console.print(Segments(line), end="")
        return captured.get()


def _trimmed(line: list[Segment]) -> list[Segment]:
    """Without the blanks at its end, which a narrower terminal would wrap to a line of their own, and with nothing that steers it.

    Text made harmless before it was markdown may be so no more: markdown decodes entities, and percent signs in addresses.
    """
    line = [
        Segment(harmless(segment.text), segment.style) for segment in line if not segment.control
    ]
    while line:
        text, style, _ = line.pop()
        if style and style.bgcolor:
            return [*line, Segment(text, style)]
        if text.rstrip():
            return [*line, Segment(text.rstrip(), style)]
    return line


def _wraps_again() -> bool:
    if "TMUX" in os.environ:
        return True
    return os.environ.get("TERM") != "linux" and not any(name in os.environ for name in _CUTS_LINES)
