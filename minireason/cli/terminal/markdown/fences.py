"""Fences of code in markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

_FENCE = re.compile(
    r"(?P<before>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)"
    r"(?P<sign>`{3,}(?=[^`]*$)|~{3,})[ \t]*(?P<info>.*?)[ \t]*"
)
_MARKDOWN = ("markdown", "md")


class Place(Enum):
    """Where a line stands."""

    OUTSIDE = auto()
    OPENING = auto()
    INSIDE = auto()
    CLOSING = auto()


@dataclass(frozen=True, slots=True)
class Fence:
    """A line that opens code: what stands before the signs, the signs, and what is behind them."""

    before: str
    sign: str
    info: str

    @property
    def indent(self) -> int:
        """Columns before it."""
        return len(self.before.expandtabs(4))

    def is_closed_by(self, line: str) -> bool:
        """Whether the line ends the code."""
        sign = line.strip()
        indent = len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip())
        long_enough = len(sign) >= len(self.sign) and not sign.strip(self.sign[0])
        return long_enough and indent <= self.indent + 3


class Fences:
    """Tells of one line after the other whether it is code.

    Code in markdown may hold fences of its own, also with as many signs as the outer one has.
    """

    def __init__(self) -> None:
        self._open: list[Fence] = []

    @property
    def outer(self) -> Fence | None:
        """The fence that is open."""
        return self._open[0] if self._open else None

    def read(self, line: str) -> Place:
        """Where the next line stands."""
        if not self._open:
            fence = _opened(line)
            if fence is None:
                return Place.OUTSIDE
            self._open.append(fence)
            return Place.OPENING
        if self._open[-1].is_closed_by(line):
            self._open.pop()
            return Place.INSIDE if self._open else Place.CLOSING
        if self._open[0].info in _MARKDOWN and (fence := _opened(line)) and fence.info:
            self._open.append(fence)
        return Place.INSIDE


def _opened(line: str) -> Fence | None:
    match = _FENCE.fullmatch(line)
    return Fence(match["before"], match["sign"], match["info"]) if match else None
