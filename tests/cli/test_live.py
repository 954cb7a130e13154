"""Lines drawn over again in place, on the screen of a terminal."""

from __future__ import annotations

import io

import pyte
import pytest
from rich.console import Console

from minireason.cli.live import Region


class Screen:
    def __init__(self, columns: int) -> None:
        self.screen = pyte.Screen(columns, 12)
        self._stream = pyte.Stream(self.screen)
        self._out = io.StringIO()
        self.console = Console(file=self._out, width=columns, force_terminal=True)
        self._stream.feed("before\r\n")

    def lines(self) -> list[str]:
        self._stream.feed(self._out.getvalue().replace("\n", "\r\n"))
        self._out.seek(0)
        self._out.truncate()
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_drawn_over_and_cleared(columns: int) -> None:
    there = Screen(columns)
    region = Region(there.console)
    for lines in (["one", "two", "three"], ["four"], ["漢字🙂" * 60, "x" * 500], ["five", "six"]):
        region.draw(lines)
        shown = there.lines()
        assert len(shown) == 1 + len(lines)
        assert shown[0] == "before"
        assert all(line.startswith(wanted.rstrip()[:1]) for line, wanted in zip(shown[1:], lines, strict=True))
    region.clear()
    assert there.lines() == ["before"]


def test_a_wider_terminal_leaves_nothing_behind() -> None:
    there = Screen(40)
    region = Region(there.console)
    region.draw(["x" * 100, "spinner"])
    there.lines()
    there.screen.resize(12, 100)
    there.console.width = 100
    region.draw(["y" * 50, "spinner"])
    assert there.lines() == ["before", "y" * 50, "spinner"]


def test_a_narrower_terminal_counts_the_lines_that_it_wrapped() -> None:
    there = Screen(80)
    region = Region(there.console)
    region.draw(["x" * 70, "spinner"])
    there.console.width = 40
    region.clear()
    assert there.console.file.getvalue().endswith("\r\x1b[3A\x1b[J")  # type: ignore[attr-defined]
