"""What a person sees of an answer, and whether all letters and digits of it are there."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from collections.abc import Iterable

import pytest
from rich.console import Console
from rich.theme import Theme

from minireason.cli.terminal.answer import Answer
from minireason.cli.terminal.markdown.document import Markdown
from tests.cli.pseudo_terminal import pyte

_DRAWN = str.maketrans({"∛": "3√", "∜": "4√"})
_MACROS = """
    align alpha angle approx begin bmatrix bmod boxed cases ce cdot circ det div end equation
    equiv exists forall foo frac gcd ge gamma iff implies in infty int land left lim log lor lt
    max mathrm mid mystery nabla neg nmid overline partial perp pi pm pmatrix pmod qquad quad
    right rightarrow sim sin sqrt sum text times to triangle vec vmatrix xrightarrow
    operatorname weird unknownop
""".split()
_SHOWN = ("sin", "max", "log", "lim", "gcd", "det", "foo", "mystery", "weird", "unknownop")
"""Macros whose names are seen."""

_MARKUP = re.compile(
    rf"\\(?:begin|end)\{{(?:{'|'.join(_MACROS)})\*?\}}"
    rf"|\\(?:{'|'.join(name for name in _MACROS if name not in _SHOWN)})(?![a-zA-Z])"
    r"|(?<=```|~~~)[ \t]*(?:python|c|C#|rust|bash|markdown|js|sql|json|text)[ \t\r]*$",
    re.MULTILINE,
)


def letters(text: str) -> str:
    """The letters and digits of a text, those in raised or other shapes as plain ones."""
    plain = unicodedata.normalize("NFKD", text.translate(_DRAWN))
    return "".join(character for character in plain if character.isalnum())


def written(source: str) -> str:
    """The letters and digits of markdown that are no markup."""
    return letters(_MARKUP.sub("", source))


def in_order(wanted: str, shown: str) -> bool:
    """Whether all characters of one text are in the other, in their order."""
    rest = iter(shown)
    return all(character in rest for character in wanted)


def drawn(text: str, columns: int) -> str:
    """What is printed of markdown."""
    file = io.StringIO()
    Console(file=file, width=columns, theme=Theme({"markdown.code": "none"})).print(Markdown(text))
    return file.getvalue()


def stand_in(columns: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> pyte.HistoryScreen:
    """A screen in the place of the terminal that both standard streams go to."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", str(rows))
    monkeypatch.setenv("TERM", "xterm-256color")
    screen = pyte.HistoryScreen(columns, rows, history=10_000)
    stream = pyte.Stream(screen)

    class Tty(io.StringIO):
        def write(self, text: str) -> int:
            stream.feed(text.replace("\n", "\r\n"))
            return len(text)

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Tty())
    monkeypatch.setattr(sys, "stderr", Tty())
    return screen


def lines_of(screen: pyte.HistoryScreen) -> list[str]:
    """The lines of a screen, also those that scrolled away."""
    gone = [
        "".join(line[column].data for column in range(screen.columns)).rstrip()
        for line in screen.history.top
    ]
    return gone + [line.rstrip() for line in screen.display]


def on_screen(
    pieces: Iterable[str],
    columns: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    rows: int = 25,
    ended: bool = True,
) -> list[str]:
    """The lines of a terminal, also those that scrolled away, after each piece was drawn."""
    screen = stand_in(columns, rows, monkeypatch)
    answer = Answer()
    for piece in pieces:
        answer.write(piece)
        answer.draw()
    if ended:
        answer.end()
    return lines_of(screen)
