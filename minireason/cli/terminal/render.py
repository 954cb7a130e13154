"""What a person sees.

Thinking and facts go to standard error and the answer to standard output, on a terminal as in a pipe.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len
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

from minireason.cli.terminal import output
from minireason.cli.terminal.output import harmless
from minireason.cli.terminal.table import Columns, laid_out
from minireason.errors import UsageError
from minireason.events import Reply
from minireason.host import places
from minireason.models.pull import Watch

ENDED: dict[str, str] = {
    "cancelled": "stopped by you",
    "length": "cut off: the token limit or the context is used up",
}
"""What is said of a reply that did not come to its end."""

CUT_SHORT: dict[str | None, str] = {
    "budget": "cut short by its budget",
    "loop": "cut short, as it went round in circles",
    "user": "cut short by Ctrl-C",
}
"""What is said of a thought that was landed, by `Reply.thinking_end`."""

LANDING = "landing … · Ctrl-C: stop"
"""Said once a thought was asked to come to its end."""

THINKING = ("show", "stderr", "hide")
"""Where the thinking may go, beside a file."""

_PLAIN_COLUMNS = Columns()
_STEERING = re.compile(f"[{output.DIRECTIONS}\x7f-\x9f]")


def error_line(message: str) -> None:
    """One line on standard error, wrapped at words on a terminal."""
    note(f"minireason: {' '.join(message.split())}")


def note(message: str) -> None:
    """Lines that are no error, on standard error; wrapped at words on a terminal."""
    console = output.console(errors=True)
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(Text(harmless(message)))
    else:
        print(harmless(message), file=sys.stderr)


def faint(text: str) -> None:
    """Text of the model's that is no answer, on standard error, set in from the rest."""
    console = output.console(errors=True)
    if not console.is_terminal:
        print(textwrap.indent(harmless(text), "  "), file=sys.stderr)
        return
    console.print(Padding(Text(harmless(text), style="dim"), (0, 0, 0, 2), expand=False))


def dim(text: str, *, style: str = "dim") -> None:
    """A line beside the answer, on standard error."""
    output.console(errors=True).print(Text(harmless(text), style=style))


def definitions(rows: list[tuple[str, str]]) -> None:
    """Print terms and what they mean on standard error.

    They stand beside each other, or below where the terminal is narrow.
    """
    console = output.console(errors=True)
    widest = max(cell_len(term) for term, _ in rows)
    if not console.is_terminal:
        for term, meaning in rows:
            print(harmless(f"{term:{widest}}  {meaning}").rstrip(), file=sys.stderr)
        return
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
    width = max(10, min(60, output.console(errors=True).width - 2))
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
    print(f"{harmless(question)} [{'Y/n' if default else 'y/N'}] ", end="", flush=True)
    reply = input().strip().lower()
    return reply.startswith("y") if reply else default


def table(
    headers: list[str],
    rows: list[list[str]],
    columns: Columns = _PLAIN_COLUMNS,
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


class Transfer:
    """Progress of bytes read or fetched, with speed and time left on a terminal; in a pipe only what each step is."""

    def __init__(self) -> None:
        console = output.console(errors=True)
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
        self._console = output.console(errors=True)

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
    """Where the thinking goes: "show" (standard output), "stderr", "hide", or a file.

    Raises UsageError.
    """

    def __init__(self, where: str, words: tuple[str, ...] = THINKING) -> None:
        """`words`: what else but a path may be said here, for the error."""
        self._where = where
        self._file: TextIO | None = None
        self._console = {"show": output.console, "stderr": lambda: output.console(errors=True)}.get(
            where, lambda: None
        )()
        if where not in THINKING:
            with self._told():
                self._file = _opened_for_thinking(where, words)
        self._wrote = False
        self._landing = False

    def write(self, text: str) -> None:
        if self._landing:
            self._landing = False
            self._say_landing()
        if self._file:
            with self._told():
                self._file.write(text)
        elif self._console:
            self._console.out(harmless(text), style="dim", end="", highlight=False)
            self._console.file.flush()
        self._wrote = True

    def landing(self) -> None:
        """Say with the next piece that the thought was asked to end; for signal handlers too."""
        self._landing = True

    def end(self) -> None:
        """The thinking is over: a blank line before what follows."""
        if self._wrote and self._console:
            self._console.out("\n")
        self._wrote = self._landing = False

    def close(self) -> None:
        if self._file:
            with self._told():
                self._file.close()

    def _say_landing(self) -> None:
        console = output.console(errors=True)
        if console.is_terminal:
            line = f"\n({LANDING})\n" if self._wrote and self._console else f"({LANDING})\n"
            console.out(line, style="dim italic", end="", highlight=False)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            problem = getattr(error, "strerror", None) or error
            raise UsageError(
                f"The thinking cannot be written to {self._where} ({problem}); name another file, "
                "or show, stderr or hide."
            ) from None


def _opened_for_thinking(where: str, words: tuple[str, ...]) -> TextIO:
    """A file made for the thinking, for the user's eyes only, or a device or pipe that is there.

    Nothing that lies there is written over, and a word that was mistyped makes no file. Raises
    UsageError, OSError or ValueError.
    """
    path = places.expanded(where)
    if not (path.suffix or os.sep in where or "/" in where):
        near = difflib.get_close_matches(where, words, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"--thinking {where}: {hint}It takes {', '.join(words)}, or a file: a path with a / "
            "in it, or a name with a suffix such as thought.txt."
        )
    if path.is_file():
        raise UsageError(
            f"There is a file {where} already, and it is not written over; "
            "name another with --thinking."
        )
    flags = os.O_APPEND if path.exists() else os.O_CREAT | os.O_EXCL
    handle = os.open(path, os.O_WRONLY | flags, 0o600)
    return os.fdopen(handle, "w", buffering=1, encoding="utf-8")


def facts(reply: Reply, *, folded: bool = False) -> None:
    """Print one line about the reply on a terminal; in a pipe only that its thought was cut short.

    Of a thought that was folded to a line the length is not said again.
    """
    console = output.console(errors=True)
    cut_short = CUT_SHORT.get(reply.thinking_end)
    if not console.is_terminal:
        if cut_short:
            error_line(f"The thought was {cut_short}.")
        return
    parts = []
    if reply.usage.thinking_tokens and not folded:
        parts.append(f"thought {reply.usage.thinking_tokens:,} tokens in {reply.thought_s:.1f} s")
    if cut_short:
        parts.append(f"thought {cut_short}")
    parts.append(f"answered {reply.usage.answer_tokens:,} tokens")
    if reply.timings.tokens_per_s:
        parts.append(f"{reply.timings.tokens_per_s:,.1f} tokens/s")
    if reply.finish_reason in ENDED:
        parts.append(ENDED[reply.finish_reason])
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
