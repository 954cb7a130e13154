"""How far a long run is: a bar on a terminal, and a line now and then in a pipe."""

from __future__ import annotations

import time

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from minireason.cli.terminal import notes, output

LINE_EVERY_S = 10.0
"""Between two lines in a pipe."""

_BAR_COLUMNS = 24  # so that all stands on a line of 80


class Meter:
    """How far a run is; `quiet` leaves the lines in a pipe out, not the bar on a terminal.

    `noun` is what there are `total` of, `done` how many there were before.
    """

    def __init__(self, total: int, noun: str, *, done: int = 0, quiet: bool = False) -> None:
        console = output.console(errors=True)
        columns = (
            TextColumn(noun),
            BarColumn(_BAR_COLUMNS),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(
            *columns,
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=done, speed="")
        self._quiet, self._total = quiet or console.is_terminal, total
        self._noun, self._is_shown = noun, console.is_terminal
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Meter:
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def show(self, done: int, tokens: int) -> None:
        """`tokens` were generated since this began."""
        now = time.monotonic()
        rate = tokens / max(1e-9, now - self._began)
        speed = f"{tokens:,} tokens, {rate:,.0f}/s" if tokens else ""
        self._bar.update(self._task, completed=done, speed=speed)
        if not self._quiet and now - self._said >= LINE_EVERY_S:
            self._said = now
            speed = f", {speed}" if speed else ""
            notes.note(f"{done:,} of {self._total:,} {self._noun}{speed}")

    def say(self, message: str) -> None:
        """A line of an error above the bar."""
        if not self._is_shown:
            notes.error_line(message)
            return
        self._bar.console.print(Text(f"minireason: {' '.join(message.split())}"))
