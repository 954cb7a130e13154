"""Lines drawn over again in place, on the screen of a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from minireason.cli.terminal.region import Region
from tests.cli.pseudo_terminal import Screen, pyte


class Shown:
    def __init__(self, columns: int, *, wraps_again: bool = True) -> None:
        self.screen = (Screen if wraps_again else pyte.Screen)(columns, 12)
        self._stream = pyte.Stream(self.screen)
        self._out = io.StringIO()
        self.console = Console(file=self._out, width=columns, height=12, force_terminal=True)
        self.region = Region(self.console)
        self._stream.feed("before\r\n")

    def draw(self, what: RenderableType) -> list[str]:
        self.region.draw(what)
        return self.lines()

    def resize(self, columns: int) -> None:
        self.screen.resize(12, columns)
        self.console.width = columns

    def lines(self) -> list[str]:
        self._stream.feed(self._out.getvalue().replace("\n", "\r\n"))
        self._out.seek(0)
        self._out.truncate()
        return [line.rstrip() for line in self.screen.display if line.strip()]


def lines(*texts: str) -> Text:
    return Text("\n".join(texts), no_wrap=True, overflow="crop")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_drawn_over_cleared_and_left(columns: int) -> None:
    there = Shown(columns)
    for texts in (["one", "two", "three"], ["four"], ["漢字🙂" * 60, "x" * 500], ["five", "six"]):
        shown = there.draw(lines(*texts))
        assert len(shown) == 1 + len(texts)
        assert shown[0] == "before"
        assert all(
            line.startswith(wanted[0]) for line, wanted in zip(shown[1:], texts, strict=True)
        )
    there.region.clear()
    assert there.lines() == ["before"]
    there.region.leave(lines("stays"))
    there.draw(lines("drawn"))
    there.region.clear()
    assert there.lines() == ["before", "stays"]


@pytest.mark.parametrize("wraps_again", [True, False])
@pytest.mark.parametrize("columns", [100, 50, 23])
def test_a_resize_leaves_nothing_behind_and_takes_nothing_away(
    columns: int, wraps_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TERM", "xterm" if wraps_again else "linux")
    there = Shown(70, wraps_again=wraps_again)
    there.draw(lines("x" * 100, "y" * 30, "spinner"))
    there.resize(columns)
    assert there.draw(lines("z" * 60, "spinner")) == [
        "before",
        "z" * min(60, columns - 1),
        "spinner",
    ]
    there.resize(70)
    assert there.draw(lines("end")) == ["before", "end"]


def test_of_what_is_taller_than_the_terminal_the_end_is_drawn_and_all_is_left() -> None:
    there = Shown(40)
    numbers = [str(number) for number in range(30)]
    assert there.draw(lines(*numbers)) == ["before", *numbers[-11:]]
    assert there.draw(lines(*numbers, "30")) == ["before", *numbers[-10:], "30"]
    there.region.leave(lines(*numbers))
    assert there.lines() == numbers[-11:]


def test_a_character_that_the_terminal_takes_for_wider_leaves_nothing_behind() -> None:
    """A family has six columns on this screen and two for rich; what is left loses nothing."""
    there = Shown(40)
    family = "👨\u200d👩\u200d👧"
    for number in range(5):
        shown = there.draw(lines(f"{number} {family * 15}", "spinner"))
        assert len(shown) == 3
        assert [shown[0], shown[2]] == ["before", "spinner"]
    there.region.leave(lines(f"{family * 15} end"))
    assert "".join(there.lines()).endswith(" end")
    assert "".join(there.lines()).count("👨") == 15


def test_a_tall_block_that_becomes_narrower_repeats_nothing() -> None:
    there = Shown(40)
    code = [f"{number:02} {'x' * 30}" for number in range(30)]
    there.draw(lines(*code[:20]))
    there.resize(20)
    there.draw(lines(*code))
    there.region.leave(lines(*code))
    there.lines()
    whole = [*there.screen.gone, *there.screen.display]
    numbers = [line[:2] for line in whole if line[:2].isdigit()]
    assert numbers == [line[:2] for line in code]


def test_blanks_at_the_end_of_a_line_are_not_drawn() -> None:
    there = Shown(40)
    there.region.leave(Text("word", justify="left"))
    assert "word\x1b[J\n" in there.console.file.getvalue()  # type: ignore[attr-defined]
