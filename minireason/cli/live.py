"""A thought while it is thought: a few lines drawn over again in place, then one line that stays."""

from __future__ import annotations

import threading
import time

from rich.cells import cell_len, chop_cells
from rich.console import Console

from minireason.cli.render import harmless

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_EVERY_S = 0.1
_TAIL_LINES, _TAIL_CHARS = 3, 2000


class Region:
    """Lines at the bottom of the terminal that can be drawn again; what they took is worked out anew after a resize."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._widths: list[int] = []

    def draw(self, lines: list[str]) -> None:
        """Put these lines in the place of the last ones, each cut to the width."""
        width = max(2, self._console.width - 1)
        shown = [chop_cells(line, width)[0] if line else "" for line in lines]
        out = self._to_start() + "".join(f"\x1b[2m{line}\x1b[0m\x1b[K\n" for line in shown) + "\x1b[J"
        self._write(out)
        self._widths = [cell_len(line) for line in shown]

    def clear(self) -> None:
        """Take the lines away."""
        if self._widths:
            self._write(self._to_start() + "\x1b[J")
            self._widths = []

    def _to_start(self) -> str:
        rows = sum(max(1, -(-width // max(1, self._console.width))) for width in self._widths)
        return f"\r\x1b[{rows}A" if rows else "\r"

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


class LiveThinking:
    """Shows a thought's last lines with a spinner, seconds and tokens; `end` folds them to one line."""

    def __init__(self, hint: str) -> None:
        self._console = Console(stderr=True)
        self._region = Region(self._console)
        self._hint = hint
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._text, self._tokens, self._began, self._state = "", 0, 0.0, "thinking"

    def start(self) -> None:
        """Begin with the seconds running."""
        self._text, self._tokens, self._began, self._state = "", 0, time.monotonic(), "thinking"
        self._stop.clear()
        self._thread = threading.Thread(target=self._animate, daemon=True)
        self._thread.start()

    def say(self, state: str) -> None:
        """What it is doing."""
        self._state = state

    def write(self, text: str, tokens: int) -> None:
        """More of the thought, which has this many tokens so far."""
        with self._lock:
            self._text = (self._text + text)[-_TAIL_CHARS:]
            self._tokens = tokens

    def folded(self) -> str:
        """The one line that a thought becomes; nothing if there was none."""
        seconds = time.monotonic() - self._began
        return f"thought for {seconds:.0f} s, {self._tokens:,} tokens (/thinking or Ctrl-T unfolds)" if self._tokens else ""

    def end(self, folded: str = "") -> None:
        """Stop, and leave one line or nothing."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        self._region.clear()
        if folded:
            self._console.print(harmless(folded), style="dim", highlight=False, markup=False)

    def _animate(self) -> None:
        frame = 0
        while not self._stop.wait(_EVERY_S):
            with self._lock:
                text, tokens = self._text, self._tokens
            seconds = time.monotonic() - self._began
            facts = f"{_FRAMES[frame % len(_FRAMES)]} {self._state} {seconds:.0f} s, {tokens:,} tokens"
            lines = [
                piece for line in harmless(text).expandtabs(4).split("\n") for piece in chop_cells(line, max(2, self._console.width - 3))
            ]
            tail = [f"  {line}" for line in lines[-_TAIL_LINES:]] if text else []
            self._region.draw([*tail, f"{facts}  {self._hint}"])
            frame += 1
