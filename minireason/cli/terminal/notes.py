"""Errors, notes and questions for the person at the terminal.

All of it goes to standard error but the questions, so that standard output holds the answer alone,
on a terminal as in a pipe.
"""

from __future__ import annotations

import sys
import textwrap

from rich.cells import cell_len

from minireason.cli.terminal import output
from minireason.cli.terminal.output import harmless
from minireason.cli.terminal.wrapping import print_wrapped


def error_line(message: str) -> None:
    """One line on standard error, wrapped at words on a terminal."""
    note(f"minireason: {' '.join(message.split())}")


def note(message: str) -> None:
    """Lines that are no error, on standard error; wrapped at words on a terminal."""
    print_wrapped(message, errors=True)


def faint(text: str) -> None:
    """Text of the model's that is no answer, on standard error, set in from the rest."""
    if not output.is_terminal(errors=True):
        print(textwrap.indent(harmless(text), "  "), file=sys.stderr)
        return
    from rich.padding import Padding
    from rich.text import Text

    console = output.console(errors=True)
    console.print(Padding(Text(harmless(text), style="dim"), (0, 0, 0, 2), expand=False))


def dim(text: str, *, style: str = "dim") -> None:
    """Text beside the answer, on standard error; wrapped at words on a terminal."""
    print_wrapped(text, errors=True, style=style)


def definitions(rows: list[tuple[str, str]]) -> None:
    """Print terms and what they mean on standard error.

    The meanings stand beside the terms, or below them where the terminal is narrow.
    """
    widest = max(cell_len(term) for term, _ in rows)
    if not output.is_terminal(errors=True):
        for term, meaning in rows:
            print(harmless(f"{term:{widest}}  {meaning}").rstrip(), file=sys.stderr)
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = output.console(errors=True)
    if console.width < 2 * widest:
        for term, meaning in rows:
            console.print(
                Text(harmless(term)),
                Padding(Text(harmless(meaning)), (0, 0, 0, 4), expand=False),
                sep="\n",
            )
        return
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for row in rows:
        grid.add_row(*(Text(harmless(cell)) for cell in row))
    console.print(grid)


def can_ask() -> bool:
    """Whether there is a person on a terminal to ask."""
    return (
        sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() and sys.stdout.isatty()
    )


def confirmed(question: str, *, default: bool) -> bool:
    """What a person on a terminal says to a question; Enter alone means the default."""
    print_wrapped(f"{question} [{'Y/n' if default else 'y/N'}]", end=" ")
    reply = input().strip().lower()
    return reply.startswith("y") if reply else default
