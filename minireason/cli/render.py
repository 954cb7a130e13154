"""What a person sees.

Thinking and facts go to standard error and the answer to standard output, on a terminal as in a pipe.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.segment import Segment, Segments
from rich.status import Status
from rich.table import Table

from minireason.cli.latex import in_markdown
from minireason.errors import UsageError
from minireason.events import Reply
from minireason.models.pull import Watch

_REFRESH_S = 0.1
_FORMATTING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
_VISIBLE |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")


def harmless(text: str) -> str:
    """The text with every control character but newline and tab made visible, so that it can't steer a terminal."""
    return _FORMATTING.sub("\ufffd", text.replace("\r\n", "\n")).translate(_VISIBLE)


def error_line(message: str) -> None:
    """One line on standard error."""
    print(f"minireason: {harmless(' '.join(message.split()))}", file=sys.stderr)


def note(message: str) -> None:
    """Lines that are no error, on standard error; wrapped at words on a terminal."""
    console = Console(stderr=True)
    if console.is_terminal:
        console.print(harmless(message), highlight=False, markup=False)
    else:
        print(harmless(message), file=sys.stderr)


def faint(text: str) -> None:
    """Text of the model's that is no answer, on standard error."""
    Console(stderr=True).print(harmless(text), style="dim", highlight=False, markup=False)


def bar(parts: list[tuple[str, int]], whole: int) -> None:
    """Shares of a whole, as one bar and a line of numbers on standard error."""
    width = max(10, min(60, Console(stderr=True).width - 2))
    filled = "".join(character * max(size > 0, round(size / whole * width)) for character, (_, size) in zip("█▓░", parts, strict=False))
    note(f"{filled[:width]}\n" + ", ".join(f"{name} {size:,}" for name, size in parts) + f" of {whole:,} tokens")


def confirmed(question: str, *, default: bool) -> bool:
    """What a person on a terminal says to a question; Enter alone means the default."""
    reply = input(f"{harmless(question)} [{'Y/n' if default else 'y/N'}] ").strip().lower()
    return reply.startswith("y") if reply else default


def table(headers: list[str], rows: list[list[str]]) -> None:
    """A table on standard output: drawn on a terminal, tab-separated in a pipe."""
    console = Console()
    if not console.is_terminal:
        for row in [headers, *rows]:
            print("\t".join(harmless(cell) for cell in row))
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for index, header in enumerate(headers):
        drawn.add_column(header, justify="left" if index in (0, 3) else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*map(harmless, row))
    console.print(drawn)


class Transfer:
    """Progress of bytes read or fetched, with speed and time left on a terminal; in a pipe only what each step is."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.description}"),
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
        self._status.update(f"[dim]{harmless(text)}[/dim]")

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
        self._file: TextIO | None = None
        self._console = {"show": Console, "stderr": lambda: Console(stderr=True)}.get(where, lambda: None)()
        if where not in ("show", "stderr", "hide"):
            try:
                self._file = open(where, "w", encoding="utf-8")  # noqa: SIM115 - closed by close()
            except OSError as error:
                raise UsageError(
                    f"The thinking cannot be written to {where} ({error.strerror}); name another file, or show, stderr or hide."
                ) from None
        self._wrote = False

    def write(self, text: str) -> None:
        if self._file:
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
            self._file.close()


class Answer:
    """The answer on standard output: as it comes into a pipe, as markdown on a terminal, block by block.

    The block being written is redrawn in place; a finished one (a blank line outside a code fence) stays.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self._console = Console()
        self._plain = plain or not self._console.is_terminal
        self._block = ""
        self._live: Live | None = None
        self._drawn = 0.0

    def write(self, text: str) -> None:
        if self._plain:
            sys.stdout.write(harmless(text))
            sys.stdout.flush()
            return
        self._block += harmless(text)
        while (end := _block_end(self._block)) is not None:
            self._finish(self._block[:end])
            self._block = self._block[end:].lstrip("\n")
        if self._block and time.monotonic() - self._drawn > _REFRESH_S:
            self._draw()

    def end(self) -> None:
        """The answer is over."""
        if self._plain:
            sys.stdout.write("\n")
            sys.stdout.flush()
        else:
            self._finish(self._block)
        self._block = ""

    def _draw(self) -> None:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()
        self._live.update(self._tail(), refresh=True)
        self._drawn = time.monotonic()

    def _tail(self) -> Group:
        """The last lines of the block as far as the screen holds them."""
        lines = self._console.render_lines(_markdown(self._block), pad=False)
        return Group(*(Segments([*line, Segment.line()]) for line in lines[-max(1, self._console.height - 2) :]))

    def _finish(self, block: str) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if block.strip():
            self._console.print(_markdown(block))


def _markdown(text: str) -> Markdown:
    """Markdown with formulas made readable and nothing that a click could follow elsewhere than it says."""
    return Markdown(in_markdown(text), hyperlinks=False)


def _block_end(text: str) -> int | None:
    """Where the first finished block of markdown ends: at a blank line that is not inside a code fence."""
    fenced, start = False, 0
    while (end := text.find("\n", start)) >= 0:
        line = text[start:end]
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        if not line.strip() and not fenced and start:
            return end + 1
        start = end + 1
    return None


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
    """One line of JSON, in plain ASCII where standard output is not in a Unicode encoding."""
    return json.dumps(found, ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf"))


def forgiving_streams() -> None:
    """Let characters that the terminal's encoding lacks become question marks instead of errors."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
