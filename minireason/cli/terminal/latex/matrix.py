"""Rows and columns of a formula: matrices, cases, aligned equations."""

from __future__ import annotations

from rich.cells import cell_len

from minireason.cli.terminal.latex.formula import BLOCK_END, BLOCK_START
from minireason.cli.terminal.latex.symbols import TALL, WAISTS

Rows = list[list[str]]


def in_one_line(rows: Rows, around: tuple[str, str], between: str = " ") -> str:
    """Rows with semicolons between them."""
    inside = "; ".join(between.join(filter(None, row)) for row in rows)
    opening, closing = around
    return opening + inside + (closing or {"{": "}"}.get(opening, ""))


def as_rows(rows: Rows, around: tuple[str, str], *, justify: str) -> str:
    """Two rows or more below each other between tall brackets, as a block for `formula.staircase`.

    `justify` says with a letter a column (l, c or r) how it is set; where there are fewer letters
    than columns, they are used again from the first on.
    """
    columns = max(map(len, rows))
    widths = [max(cell_len(row[at]) for row in rows if at < len(row)) for at in range(columns)]
    lines = []
    for row in rows:
        cells = [
            _justified(cell, width, justify[at % len(justify)])
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append((" " if justify == "rl" else "  ").join(cells))
    width = max(map(cell_len, lines))
    opening, closing = (_tall(bracket, len(rows)) for bracket in around)
    whole = [
        f"{left}{line}{' ' * (width - cell_len(line))}{right}" if right else f"{left}{line}"
        for left, line, right in zip(opening, lines, closing, strict=True)
    ]
    return BLOCK_START + "\n".join(whole) + BLOCK_END


def _justified(cell: str, width: int, justify: str) -> str:
    missing = width - cell_len(cell)
    before = {"l": 0, "c": missing // 2, "r": missing}[justify]
    return " " * before + cell + " " * (missing - before)


def _tall(bracket: str, rows: int) -> list[str]:
    if not bracket:
        return [""] * rows
    tall = TALL[bracket]
    pieces = [tall[0], *[tall[1]] * (rows - 2), tall[2]]
    if bracket in WAISTS and rows > 2:
        pieces[rows // 2] = WAISTS[bracket]
    return [f"{piece} " if bracket == "{" else piece for piece in pieces]
