"""Bytes that are read or fetched: a bar on standard error."""

from __future__ import annotations

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from minireason.cli.terminal import output
from minireason.cli.terminal.notes import note
from minireason.cli.terminal.output import harmless
from minireason.models.pull import Watch


class _What(ProgressColumn):
    """What is being done: where there is little room it is cut short, and no number is."""

    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _OfBytes(ProgressColumn):
    """A column that is empty while nobody knows how many bytes there are."""

    def __init__(self, column: ProgressColumn, *, may_shrink: bool = False) -> None:
        super().__init__(Column(no_wrap=not may_shrink))
        self._column = column

    def render(self, task: Task) -> RenderableType:
        return self._column(task) if task.total else Text()


class Transfer:
    """Progress of bytes read or fetched, with speed and time left.

    In a pipe it only says what each step is.
    """

    def __init__(self) -> None:
        console = output.console(errors=True)
        self._bar = Bar(
            _What(),
            _OfBytes(BarColumn(), may_shrink=True),
            _OfBytes(DownloadColumn()),
            _OfBytes(TransferSpeedColumn()),
            _OfBytes(TimeRemainingColumn(compact=True)),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, visible=False)
        self.watch = Watch(self._bytes, self._step)

    def __enter__(self) -> Transfer:
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def _bytes(self, done: int, of: int) -> None:
        self._bar.update(self._task, completed=done, total=of, visible=True)

    def _step(self, what: str) -> None:
        if self._bar.disable:
            note(f"{what} ...")
        self._bar.reset(self._task, description=harmless(what), visible=True, total=None)
