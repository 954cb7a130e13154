"""A thought while it is thought: a few lines drawn again in place, then one line that stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.cells import cell_len, chop_cells
from rich.text import Text

from minireason.cli.terminal import output
from minireason.cli.terminal.output import harmless
from minireason.cli.terminal.region import Region
from minireason.cli.terminal.thinking import LANDING

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_EVERY_S = 0.1
_TAIL_LINES, _TAIL_CHARS = 3, 2000
_INDENT = "  "
_STOP = "Ctrl-C: stop"
UNFOLD = " · Ctrl-T or /thinking unfolds"


class LiveThinking:
    """A thought's last lines with a spinner, seconds and tokens; `end` folds them to one line.

    Before the thought it shows that the prompt is read, and of a model that does not `think` only
    that. `tokens` says how many the thought has so far; `hidden` shows and leaves nothing else.
    What `instead` says is shown in the place of what goes on.
    """

    def __init__(
        self,
        tokens: Callable[[], int],
        *,
        thinks: bool,
        hidden: bool = False,
        instead: Callable[[], str] = str,
    ) -> None:
        self._console = output.console(errors=True)
        self._region = Region(self._console)
        self._tokens, self._hidden, self._instead = tokens, hidden, instead
        self._hint = "Ctrl-C: answer now" if thinks else _STOP
        self._text, self._state, self._began = "", "reading", time.monotonic()
        self._landing = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = threading.Thread(target=self._animate, daemon=True)
        self._thread.start()

    def prefill(self, done: int, total: int) -> None:
        """How much of the prompt is read, in tokens."""
        self._state = f"reading, {done:,} of {total:,} tokens"

    def write(self, text: str) -> None:
        """More of the thought."""
        if not self._text:
            self._state, self._began = "thinking", time.monotonic()
        self._text = (self._text + text)[-_TAIL_CHARS:]

    def landing(self) -> None:
        """Say that the thought was asked to come to its end; a signal handler may call this."""
        self._landing = True

    def end(self) -> None:
        """Leave one line where there was a thought, else nothing."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        if self._landing:  # it was heard, however short the landing was
            self._region.draw(self._drawn(_FRAMES[0]))
        if self._text and not self._hidden:
            self._region.leave(Text(self._folded(), style="dim"))
        else:
            self._region.clear()

    def _folded(self) -> str:
        line = f"thought for {self._seconds} s, {self._tokens():,} tokens"
        return line + UNFOLD if cell_len(line + UNFOLD) < self._console.width else line

    @property
    def _seconds(self) -> str:
        return f"{time.monotonic() - self._began:.0f}"

    def _animate(self) -> None:
        frame = 0
        while not self._stop.wait(_EVERY_S):
            self._region.draw(self._drawn(_FRAMES[frame % len(_FRAMES)]))
            frame += 1

    def _drawn(self, spinner: str) -> Text:
        width = max(2, self._console.width - 1)
        text = (
            harmless(self._text).expandtabs(4).split("\n")
            if self._text and not self._hidden
            else []
        )
        tail = [
            f"{_INDENT}{piece}"
            for line in text
            for piece in chop_cells(line, max(2, width - len(_INDENT))) or [""]
        ][-_TAIL_LINES:]
        lines = [*tail, f"{spinner} {self._facts(width - 2)}"]
        return Text("\n".join(lines), style="dim", no_wrap=True, overflow="crop")

    def _facts(self, width: int) -> str:
        """What goes on, and where there is room what Ctrl-C would do."""
        if self._landing:
            return LANDING
        tokens = f", {self._tokens():,} tokens" if self._text else ""
        facts, hint = f"{self._state} {self._seconds} s{tokens}", self._hint
        if instead := self._instead():
            facts, hint = instead, _STOP
        with_hint = f"{facts} · {hint}"
        return with_hint if cell_len(with_hint) <= width else facts
