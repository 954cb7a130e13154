"""Tables of text: a name is never broken; on a narrow terminal whole columns are left out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from minireason.cli.terminal import output
from minireason.cli.terminal.notes import note
from minireason.cli.terminal.output import harmless

_GAP = "  "
_LEAST_CUT = 8
"""Cells below which a text that may be cut is left out."""


@dataclass(frozen=True, slots=True)
class Columns:
    """How the columns of a table are treated, by their numbers.

    `left`: those of words, which start at the left. `drop`: those that may be left out, the first
    of them first. `cut`: one that is cut short before any is left out.
    """

    left: Sequence[int] = (0,)
    drop: Sequence[int] = ()
    cut: int | None = None


_NO_COLUMNS = Columns()


@dataclass(frozen=True, slots=True)
class Layout:
    """The lines of a table, headers first, and the headers of the columns that were left out."""

    lines: list[str]
    left_out: list[str] = field(default_factory=list)


def laid_out(
    headers: Sequence[str], rows: Sequence[Sequence[str]], columns: Columns, width: int
) -> Layout:
    """Lay a table out for a terminal of so many columns.

    A name (the first column) of more than half of the width stands on a line of its own.
    """
    longest = max(width // 2, cell_len(headers[0]))
    wide = [cell_len(row[0]) > longest for row in rows]
    table = [list(headers), *([""] * w + list(row[w:]) for w, row in zip(wide, rows, strict=True))]
    shown = list(range(len(headers)))
    sizes = [max(cell_len(row[column]) for row in table) for column in shown]

    def missing() -> int:
        return sum(sizes[column] + len(_GAP) for column in shown) - len(_GAP) - width

    if columns.cut is not None and missing() > 0:
        sizes[columns.cut] -= missing()
        if sizes[columns.cut] < _LEAST_CUT:
            shown.remove(columns.cut)
    for column in columns.drop:
        if missing() > 0 and column in shown:
            shown.remove(column)
    lines = []
    for number, row in enumerate(table):
        if number and wide[number - 1]:
            lines.append(rows[number - 1][0])
        cells = [_cell(row[column], sizes[column], column in columns.left) for column in shown]
        lines.append(_GAP.join(cells).rstrip())
    left_out = [header for column, header in enumerate(headers) if column not in shown]
    return Layout([line for line in lines if line], left_out)


def _cell(text: str, size: int, left: bool) -> str:
    length = cell_len(text)
    if length > size:
        return set_cell_size(text, size - 1) + "…"
    blanks = " " * (size - length)
    return text + blanks if left else blanks + text


def print_table(
    headers: list[str],
    rows: list[list[str]],
    columns: Columns = _NO_COLUMNS,
    *,
    errors: bool = False,
) -> None:
    """Print a table: laid out for a terminal, tab-separated in a pipe.

    It goes to standard output, or to standard error for `errors`.
    """
    console = output.console(errors=errors)
    if not console.is_terminal:
        for row in [headers, *rows]:
            line = "\t".join(harmless(cell) for cell in row)
            print(line, file=sys.stderr if errors else sys.stdout)
        return
    whole = [[harmless(cell) for cell in row] for row in rows]
    layout = laid_out(headers, whole, columns, console.width)
    for number, line in enumerate(layout.lines):
        console.print(Text(line, style="" if number else "bold"), soft_wrap=True)
    if layout.left_out:
        note(f"(not shown for want of width: {', '.join(layout.left_out)})")


def gigabytes(size: int | None) -> str:
    """Bytes as a number of GB, to three places where it is a small one; nothing for none."""
    if not size:
        return ""
    return f"{size / 1e9:.1f}" if size >= 10**8 else f"{size / 1e9:.3f}"
