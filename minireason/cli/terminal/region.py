"""Lines at the bottom of the terminal that are drawn again in their place.

Those that are done with stay.
"""

from __future__ import annotations

import os

from rich.console import Console, RenderableType
from rich.segment import Segment, Segments

from minireason.cli.terminal.drawing import DRAWING, DRAWN
from minireason.cli.terminal.output import harmless

_CUTS_LINES = "XTERM_VERSION", "STY"
"""xterm and GNU screen set these."""

_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"


class Region:
    """Lines that were drawn last: they stand right above and before the cursor.

    How many rows they take is worked out anew each time, for a terminal that became narrower has
    wrapped them again, all but the few kinds that cut them off instead.
    Lines that are drawn again are drawn with autowrap off: a terminal that takes a character for
    wider than we do cuts the line, where a row that nobody counted would stay behind.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []
        DRAWN.add(self)

    def draw(self, what: RenderableType, *, spaced: bool = False) -> None:
        """Put this in the place of what was drawn last; of what is too tall the end alone.

        Blank lines around it are left out; `spaced` puts one before it.
        """
        lines = self._lines(what, spaced)
        with DRAWING:
            self._write(lines[-self._that_fit(lines) :], _WRAP_OFF, _WRAP_ON)

    def leave(self, what: RenderableType, *, spaced: bool = False) -> None:
        """Put this in the place of what was drawn last, and draw below it from here on."""
        with DRAWING:
            self._write(self._lines(what, spaced), end="\n")
            self._widths = []

    def clear(self) -> None:
        """Take away what was drawn last."""
        with DRAWING:
            self.erase()

    def erase(self) -> None:
        """See `Drawn.erase`."""
        if self._widths:
            self._write([])

    def _write(self, lines: list[list[Segment]], begin: str = "", end: str = "") -> None:
        """Write each line over an old one, in one write, so that nothing is seen half drawn."""
        text = "\x1b[K\n".join(map(self._encoded, lines))
        self._console.file.write(f"{begin}{self._to_start()}{text}\x1b[J{end}")
        self._console.file.flush()
        self._widths = [Segment.get_line_length(line) for line in lines]

    def _that_fit(self, lines: list[list[Segment]]) -> int:
        """How many of the last lines, at least one, stay on the screen if it becomes half as wide.

        What is pushed off the screen can never be drawn over again, and would stand there twice.
        """
        width, rows = max(1, self._console.width // 2), self._console.height - 1
        for count, line in enumerate(reversed(lines)):
            rows -= _rows(Segment.get_line_length(line), width)
            if rows < 0:
                return max(1, count)
        return max(1, len(lines))

    def _to_start(self) -> str:
        width = max(1, self._console.width)
        again = _wraps_again()
        rows = sum(_rows(line, width) if again else 1 for line in self._widths)
        return f"\r\x1b[{rows - 1}A" if rows > 1 else "\r"

    def _lines(self, what: RenderableType, spaced: bool) -> list[list[Segment]]:
        # In the last column erasing to the end of a line would take a character with it.
        width = max(2, self._console.width - 1)
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
    """Leave out the blanks at the end of a line, and whatever steers the terminal.

    A narrower terminal would wrap the blanks to a line of their own, and a region may be given any
    console, also one that does not make text harmless.
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


def _rows(length: int, width: int) -> int:
    """Rows that a line of so many cells takes on a terminal of this width that wraps it."""
    return max(1, -(-length // width))


def _wraps_again() -> bool:
    if "TMUX" in os.environ:
        return True
    return os.environ.get("TERM") != "linux" and not any(name in os.environ for name in _CUTS_LINES)
