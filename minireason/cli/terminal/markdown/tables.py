"""Tables of markdown: beside each other where they fit, row by row where the terminal is narrow."""

from __future__ import annotations

import re

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

_RULER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_BETWEEN = 3
"""Columns of the terminal between two of a table."""
_UNBROKEN = 12
"""Words of up to so many columns are not broken in a table."""


def cells_of(line: str) -> list[str]:
    """The cells of a table's row."""
    inside = re.sub(r"(?<!\\)\|$", "", line.strip().removeprefix("|"))
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inside)]


def table_length(lines: list[str], at: int) -> int:
    """How many lines the table takes that begins here; 0 if there is none."""
    header, ruler = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
    if "|" not in header or "|" not in ruler or not _RULER.fullmatch(ruler):
        return 0
    if len(cells_of(header)) != len(cells_of(ruler)):
        return 0
    end = at + 2
    while end < len(lines) and "|" in lines[end]:
        end += 1
    return end - at


class Grid:
    """A header, rows, and the cells of the line between them.

    The colons of that line say how columns are set.
    """

    def __init__(self, header: list[Text], rows: list[list[Text]], ruler: list[str]) -> None:
        count = max(map(len, [header, *rows]))
        self._header = header + [Text()] * (count - len(header))
        self._rows = [row + [Text()] * (count - len(row)) for row in rows]
        self._justify = [_justify(mark) for mark in ruler + [""] * (count - len(ruler))]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = list(zip(self._header, *self._rows, strict=True))
        narrowest = [max(map(_longest_word, column)) for column in columns]
        between = _BETWEEN * (len(columns) - 1)
        if sum(narrowest) + between > options.max_width:
            yield from self._row_by_row()
            return
        widest = [max(cell_len(cell.plain) for cell in column) for column in columns]
        table = Table(
            box=box.MINIMAL,
            show_edge=False,
            pad_edge=False,
            show_lines=sum(widest) + between > options.max_width,
        )
        widths = _widths(narrowest, widest, options.max_width - between)
        for header, justify, width in zip(self._header, self._justify, widths, strict=True):
            table.add_column(header, justify=justify, width=width, overflow="fold")
        for row in self._rows:
            table.add_row(*row)
        yield table

    def _row_by_row(self) -> RenderResult:
        if not self._rows:
            yield from self._header
        for number, row in enumerate(self._rows):
            if number:
                yield Text("─", "dim")
            for header, cell in zip(self._header, row, strict=True):
                label = Text.assemble(header, ": ", style="bold") if header else Text()
                yield Text.assemble(label, cell, overflow="fold")


def _widths(narrowest: list[int], widest: list[int], room: int) -> list[int]:
    """Share columns of the terminal out: as many as each needs, and to those that need more alike.

    Rich would take from the widest also what its longest word needs, and then cut the table off.
    """
    widths = list(narrowest)
    while sum(widths) < room and (needy := [at for at, w in enumerate(widths) if w < widest[at]]):
        widths[min(needy, key=widths.__getitem__)] += 1
    return widths


def _justify(mark: str) -> JustifyMethod:
    if mark.endswith(":"):
        return "center" if mark.startswith(":") else "right"
    return "left"


def _longest_word(cell: Text) -> int:
    return min(_UNBROKEN, max(map(cell_len, cell.plain.split()), default=1))
