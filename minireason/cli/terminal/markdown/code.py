"""Code as a terminal shows it: at the left edge, nothing around it, so that it can be copied."""

from __future__ import annotations

from itertools import accumulate

from rich.cells import chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.syntax import Syntax
from rich.text import Text

_THEME = "ansi_dark"
"""Of the terminal's own colours, without a background, which would fill lines to their end."""
_TAB = 4
_MAX_CHARS = 50_000
"""More is shown without colours."""


class Code:
    """Lines of code, which lose the indent of their fence.

    `info` stands behind the fence; unless it is the name of a language, it is shown too.
    """

    def __init__(self, lines: list[str], *, indent: int, info: str) -> None:
        self._lines = [_dedented(line.expandtabs(_TAB), indent) for line in lines]
        self._info = info

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        known = _is_language(self._info)
        if self._info and not (known and any(self._lines)):
            yield Text(self._info, "dim", overflow="fold")
        code = _coloured("\n".join(self._lines), self._info if known else "")
        for line in code.split("\n", allow_blank=True):
            pieces = chop_cells(line.plain, options.max_width)
            ends = [*accumulate(map(len, pieces))][:-1]
            for piece in line.divide(ends):
                yield from piece.render(console, end="\n")


def _dedented(line: str, indent: int) -> str:
    return line[min(indent, len(line) - len(line.lstrip(" "))) :]


def _is_language(name: str) -> bool:
    return bool(name) and Syntax("", name).lexer is not None


def _coloured(code: str, language: str) -> Text:
    if not language or len(code) > _MAX_CHARS:
        return Text(code)
    text = Syntax(code, language, theme=_THEME).highlight(code)
    text.right_crop(len(text) - len(code))
    return text if text.plain == code else Text(code)
