"""The blocks that an answer in markdown is cut into as it comes."""

from __future__ import annotations

from minireason.cli.terminal.markdown.fences import Fences, Place


class Blocks:
    """Cuts markdown that comes in pieces into blocks.

    A block is finished by a blank line outside code and a line that is not indented, as the
    further lines of a list's entry are. Each line is looked at once.
    """

    def __init__(self) -> None:
        self._last = ""  # a line that may go on
        self._begin()

    def _begin(self) -> None:
        self._lines: list[str] = []
        self._fences = Fences()
        self._begun = self._blank = False

    @property
    def unfinished(self) -> str:
        """The block that is being written."""
        return "".join(self._lines) + self._last

    def feed(self, text: str) -> list[str]:
        """The blocks that are finished now."""
        finished = []
        *lines, self._last = (self._last + text).split("\n")
        for line in lines:
            finished += self._before(line)
            self._add(line)
        return finished + self._before(self._last)

    def _before(self, line: str) -> list[str]:
        """The block that this line ends, if it begins another."""
        if not self._blank or not line[:1].strip():
            return []
        block = "".join(self._lines)
        self._begin()
        return [block]

    def _add(self, line: str) -> None:
        outside = self._fences.read(line) is Place.OUTSIDE
        self._begun = self._begun or bool(line.strip())
        self._blank = self._begun and outside and not line.strip()
        self._lines.append(f"{line}\n")

    def end(self) -> str:
        """The last block."""
        last, self._last = self.unfinished, ""
        self._begin()
        return last
