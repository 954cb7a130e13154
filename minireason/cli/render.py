"""What a person sees.

Thinking and facts go to standard error and the answer to standard output, on a terminal as in a pipe.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from minireason.errors import UsageError
from minireason.events import Reply
from minireason.models.pull import Watch

_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_FORMATTING, _STEERING = re.compile(f"[{_DIRECTIONS}]"), re.compile(f"[{_DIRECTIONS}\x7f-\x9f]")
_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: "\u2421"
}
_VISIBLE |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")


def harmless(text: str) -> str:
    """The text with every control character but newline and tab made visible, so that it can't steer a terminal."""
    return _FORMATTING.sub("\ufffd", text.replace("\r\n", "\n")).translate(_VISIBLE)


def error_line(message: str) -> None:
    """One line on standard error, wrapped at words on a terminal."""
    note(f"minireason: {' '.join(message.split())}")


def note(message: str) -> None:
    """Lines that are no error, on standard error; wrapped at words on a terminal."""
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(Text(harmless(message)))
    else:
        print(harmless(message), file=sys.stderr)


def faint(text: str) -> None:
    """Text of the model's that is no answer, on standard error, set in from the rest."""
    Console(stderr=True).print(
        Padding(Text(harmless(text), style="dim"), (0, 0, 0, 2), expand=False)
    )


def definitions(rows: list[tuple[str, str]]) -> None:
    """Terms and what they mean on standard error: beside each other, or below where the terminal is narrow."""
    console = Console(stderr=True)
    widest = max(cell_len(term) for term, _ in rows)
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


def bar(parts: list[tuple[str, int]], whole: int) -> None:
    """Shares of a whole on standard error: one bar, and a line that says which is which."""
    width = max(10, min(60, Console(stderr=True).width - 2))
    shares = list(zip("█▓░", parts, strict=False))
    filled = "".join(
        sign * max(size > 0, round(size / whole * width)) for sign, (_, size) in shares
    )
    note(
        f"{filled[:width]}\n"
        + " · ".join(f"{sign} {name} {size:,}" for sign, (name, size) in shares)
        + f" of {whole:,} tokens"
    )


def confirmed(question: str, *, default: bool) -> bool:
    """What a person on a terminal says to a question; Enter alone means the default."""
    reply = input(f"{harmless(question)} [{'Y/n' if default else 'y/N'}] ").strip().lower()
    return reply.startswith("y") if reply else default


def table(headers: list[str], rows: list[list[str]], left: tuple[int, ...] = (0, 3)) -> None:
    """A table on standard output: drawn on a terminal, tab-separated in a pipe; `left` are the columns of words."""
    console = Console()
    if not console.is_terminal:
        for row in [headers, *rows]:
            print("\t".join(harmless(cell) for cell in row))
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for index, header in enumerate(headers):
        drawn.add_column(header, justify="left" if index in left else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(harmless(cell)) for cell in row))
    console.print(drawn)


class Transfer:
    """Progress of bytes read or fetched, with speed and time left on a terminal; in a pipe only what each step is."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
        )
        self._bar = Bar(*columns, console=console, disable=not console.is_terminal)
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


class Progress:
    """A line that says what is being waited for, on a terminal only; gone once there is output."""

    def __init__(self) -> None:
        self._status: Status | None = None
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(Text(harmless(text), style="dim"))

    def loading(self, model: str) -> None:
        self.say(f"loading {model} ...")

    def loaded_share(self, share: float) -> None:
        if self._status and 0 < share < 1:
            self.say(f"loading, {share:.0%} ...")

    def prefill(self, done: int, total: int) -> None:
        if total - done > 256:
            self.say(f"reading the prompt, {done:,} of {total:,} tokens ...")

    def clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class Thinking:
    """Where the thinking goes: "show" (standard output), "stderr", "hide", or the name of a file. Raises UsageError."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._file: TextIO | None = None
        self._console = {"show": Console, "stderr": lambda: Console(stderr=True)}.get(
            where, lambda: None
        )()
        if where not in ("show", "stderr", "hide"):
            with self._told():
                self._file = open(where, "w", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._wrote = False

    def write(self, text: str) -> None:
        if self._file:
            with self._told():
                self._file.write(text)
        elif self._console:
            self._console.out(harmless(text), style="dim", end="", highlight=False)
            self._console.file.flush()
        self._wrote = True

    def end(self) -> None:
        """The thinking is over: a blank line before what follows."""
        if self._wrote and self._console:
            self._console.out("\n")
        self._wrote = False

    def close(self) -> None:
        if self._file:
            with self._told():
                self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UsageError(
                f"The thinking cannot be written to {self._where} ({error.strerror}); name another file, or show, stderr or hide."
            ) from None


def facts(reply: Reply, *, folded: bool = False) -> None:
    """One line about the reply, on a terminal only; of a thought that was folded to a line nothing more."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return
    parts = []
    if reply.usage.thinking_tokens and not folded:
        parts.append(f"thought {reply.usage.thinking_tokens:,} tokens in {reply.thought_s:.1f} s")
    parts.append(f"answered {reply.usage.answer_tokens:,} tokens")
    if reply.timings.tokens_per_s:
        parts.append(f"{reply.timings.tokens_per_s:,.1f} tokens/s")
    if reply.finish_reason == "cancelled":
        parts.append("stopped by you")
    elif reply.finish_reason == "length":
        parts.append("cut off: the token limit or the context is used up")
    console.print(" · ".join(parts), style="dim italic", highlight=False)


def json_line(found: object) -> str:
    """One line of JSON, in plain ASCII where standard output is not in a Unicode encoding; what steers a terminal is escaped."""
    line = json.dumps(found, ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf"))
    return _STEERING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line)


def forgiving_streams() -> None:
    """Let characters that the terminal's encoding lacks become question marks instead of errors."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
