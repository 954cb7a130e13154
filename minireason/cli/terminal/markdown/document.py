"""Markdown as a terminal shows it, so that nothing of it is missing.

Each line stays a line. Headings, lists, tables, fences and what `inline` knows are drawn; all else
(HTML, quotes, rules, entities, escapes, indented text) is shown as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from minireason.cli.terminal.markdown.code import Code
from minireason.cli.terminal.markdown.fences import Fence, Fences, Place
from minireason.cli.terminal.markdown.inline import DISPLAY, Formula, Piece, styled, taken_out
from minireason.cli.terminal.markdown.tables import Grid, cells_of, table_length
from minireason.cli.terminal.output import harmless

_HEADING = re.compile(r" {0,3}(?P<level>#{1,6})[ \t]+(?P<title>\S.*)")
_HEADING_STYLES = ("bold underline", "bold underline", "bold")
_RULE = re.compile(r"[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*")
_LINE = re.compile(
    r"(?P<indent>[ \t]*(?:>[ \t]*)*)(?:(?P<marker>[*-]|\d{1,9}[.)])(?P<gap>[ \t]+)(?=\S))?"
    r"(?P<body>.*)"
)
_DISPLAY = re.compile(rf"(?P<before>.*){DISPLAY}(?P<after>[ \t.,;:!]*)")
_TAB = 4


@dataclass(frozen=True, slots=True)
class Item:
    """Something drawn, None for a blank line, and whether it has a blank line above and below."""

    drawn: RenderableType | None
    above: bool = False
    below: bool = False


class Markdown:
    """An answer, or a block of one, to be printed by rich."""

    def __init__(self, text: str) -> None:
        self._text = harmless(text)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        blank, owed = True, False
        for item in _items(self._text):
            if item.drawn is None or ((item.above or owed) and not blank):
                yield Segment("\n")
            if item.drawn is not None:
                yield item.drawn
            blank = item.drawn is None
            owed = item.below


class Line:
    """Text; where it is wrapped, its further lines begin below its first word.

    `narrow` goes in its place where a line of it would have to be wrapped.
    """

    def __init__(self, prefix: str, body: Text, narrow: Text | None = None) -> None:
        self._prefix = prefix.expandtabs(_TAB)
        self._body = body
        self._narrow = narrow

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        prefix, body = _narrowed(self._prefix, options.max_width), self._body
        if cell_len(prefix) > options.max_width // 2:
            prefix, body = "", Text.assemble(prefix, body)
        hanging = cell_len(prefix)
        width = options.max_width - hanging
        if self._narrow and max(map(cell_len, body.plain.split("\n"))) > width:
            body = self._narrow
        before = prefix
        for line in body.wrap(console, width, overflow="fold", tab_size=_TAB) or [Text()]:
            yield Segment(before)
            yield from line.render(console, end="\n")
            before = " " * hanging


def _narrowed(prefix: str, width: int) -> str:
    """With less blank space before it, where that would take more than a third of the width."""
    written = prefix.lstrip(" ")
    most = max(0, width // 3 - cell_len(written))
    return prefix if len(prefix) - len(written) <= most else " " * most + written


def _items(text: str) -> Iterator[Item]:
    fences = Fences()
    lines: list[str] = []
    for line in text.split("\n"):
        before = fences.outer
        place = fences.read(line)
        if place in (Place.OUTSIDE, Place.INSIDE):
            lines.append(line)
            continue
        yield from _code(before, lines) if before else _outside(lines)
        lines = []
    yield from _code(fences.outer, lines) if fences.outer else _outside(lines)


def _code(fence: Fence, lines: list[str]) -> Iterator[Item]:
    if fence.before.strip():
        yield Item(Line("", Text(fence.before.rstrip())))
    yield Item(Code(lines, indent=fence.indent, info=fence.info), above=True, below=True)


def _outside(lines: list[str]) -> Iterator[Item]:
    if not lines:
        return
    text, pieces = taken_out("\n".join(lines))
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if length := table_length(lines, at):
            yield Item(_table(lines[at : at + length], pieces), above=True, below=True)
            at += length
        else:
            yield from _line(lines[at], pieces)
            at += 1


def _table(lines: list[str], pieces: Iterator[Piece]) -> Grid:
    header, ruler, *rows = lines
    return Grid(
        [styled(cell, pieces) for cell in cells_of(header)],
        [[styled(cell, pieces) for cell in cells_of(row)] for row in rows],
        cells_of(ruler),
    )


def _line(line: str, pieces: Iterator[Piece]) -> Iterator[Item]:
    if not line.strip():
        yield Item(None)
    elif _RULE.fullmatch(line):
        yield Item(Line("", Text(line, "dim")))
    elif heading := _HEADING.fullmatch(line):
        yield _heading(heading["level"], heading["title"].rstrip(), pieces)
    elif match := _LINE.fullmatch(line):
        prefix = match["indent"]
        if marker := match["marker"]:
            gap = match["gap"].expandtabs(_TAB)
            prefix += marker.replace("*", "•") + (gap if len(gap) <= _TAB else " ")
        if display := _DISPLAY.fullmatch(match["body"]):
            before = styled(display["before"].rstrip(), pieces)
            yield from _display(prefix, before, next(pieces), display["after"].strip())
        else:
            yield Item(Line(prefix, styled(match["body"], pieces)))


def _heading(level: str, title: str, pieces: Iterator[Piece]) -> Item:
    if title.endswith(f" {level}"):
        title = title.removesuffix(level).rstrip()  # marks that close it
    text = styled(title, pieces)
    text.stylize_before(_HEADING_STYLES[min(len(level), len(_HEADING_STYLES)) - 1])
    return Item(Line("", text), above=True)


def _display(prefix: str, before: Text, piece: Piece, after: str) -> Iterator[Item]:
    """A formula in lines of its own, set in from the text before it."""
    lines, line = (
        (piece.text(display=True), piece.text()) if isinstance(piece, Formula) else (piece, piece)
    )
    formula, narrow = lines + after, line + after
    if before:
        yield Item(Line(prefix, before))
        prefix = " " * cell_len(prefix.expandtabs(_TAB))
    elif prefix and not prefix.isspace():
        yield Item(Line(prefix, formula, narrow))
        return
    yield Item(Line(f"{prefix}  ", formula, narrow), above=True, below=True)
