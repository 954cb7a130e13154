"""Tables: names whole, columns left out, words cut last."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from minireason.cli.terminal.table import Columns, laid_out

HEADERS = ["name", "size", "words", "last"]
ROWS = [["one", "1", "a long text of many words", "x"], ["漢字", "22.5", "short", "yes"]]


def test_a_wide_terminal_has_every_column() -> None:
    layout = laid_out(HEADERS, ROWS, Columns(left=(0, 2)), 80)
    assert layout.left_out == []
    assert layout.lines == [
        "name  size  words                      last",
        "one      1  a long text of many words     x",
        "漢字  22.5  short                       yes",
    ]


@pytest.mark.parametrize("width", range(4, 60))
def test_no_line_is_longer_and_no_name_broken_and_columns_go_in_order(width: int) -> None:
    layout = laid_out(HEADERS, ROWS, Columns(left=(0, 2), drop=(1, 3, 2)), width)
    assert all(cell_len(line) <= width for line in layout.lines)
    assert [line.split()[0] for line in layout.lines] == ["name", "one", "漢字"]
    order = ["size", "last", "words"]
    assert sorted(layout.left_out) == sorted(order[: len(layout.left_out)])


def test_a_text_that_may_be_cut_is_cut_before_a_column_goes() -> None:
    layout = laid_out(HEADERS, ROWS, Columns(left=(0, 2), drop=(1,), cut=2), 30)
    assert layout.left_out == []
    assert layout.lines[1] == "one      1  a long text…     x"


def test_a_very_long_name_has_a_line_of_its_own() -> None:
    name = "a-name-that-is-longer-than-half-of-the-terminal"
    layout = laid_out(HEADERS, [*ROWS, [name, "3", "word", "no"]], Columns(left=(0, 2)), 60)
    assert layout.left_out == []
    assert layout.lines[3] == name
    assert layout.lines[4].split() == ["3", "word", "no"]
