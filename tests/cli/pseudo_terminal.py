"""A program on a real pseudo-terminal, its screen read back with pyte.

Tests are skipped where there are no pseudo-terminals.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.cli import forked
from tests.cli.run import COMMAND

pexpect = pytest.importorskip("pexpect")
ptyprocess = pytest.importorskip("ptyprocess")
pyte = pytest.importorskip("pyte")

CTRL_C, CTRL_D, CTRL_T, CTRL_U, ALT_ENTER = "\x03", "\x04", "\x14", "\x15", "\x1b\r"
CTRL_R, CTRL_Z = "\x12", "\x1a"
PATIENCE_S = 60


class Screen(pyte.Screen):  # type: ignore[misc]
    """A screen that wraps its lines anew when it is resized, as terminals of today do."""

    def __init__(self, columns: int, lines: int) -> None:
        self.wrapped: set[int] = set()  # rows that go on in the next one
        self.gone: list[str] = []  # rows that were pushed off at the top
        super().__init__(columns, lines)

    def draw(self, data: str) -> None:
        for character in data:
            wraps = self.cursor.x >= self.columns and pyte.modes.DECAWM in self.mode
            row = self.cursor.y
            super().draw(character)
            if wraps:
                self.wrapped.add(row if self.cursor.y > row else row - 1)

    def index(self) -> None:
        if self.cursor.y == self.lines - 1:
            self.gone.append(self.display[0])
            self.wrapped = {row - 1 for row in self.wrapped if row}
        super().index()

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        self.wrapped.discard(self.cursor.y)
        super().erase_in_line(how, private)

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        self.wrapped = {row for row in self.wrapped if row < self.cursor.y}
        super().erase_in_display(how, *args, **kwargs)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        lines, columns = lines or self.lines, columns or self.columns
        texts: list[list[Any]] = [[]]
        cursor = (0, 0)
        for row in range(self.lines):
            cells = [self.buffer[row][column] for column in range(self.columns)]
            if row == self.cursor.y:
                cursor = (len(texts) - 1, len(texts[-1]) + self.cursor.x)
            texts[-1] += cells
            if row not in self.wrapped:
                texts.append([])
        rows: list[list[Any]] = []
        self.wrapped = set()
        at = (0, 0)
        for number, text in enumerate(texts):
            least = cursor[1] if number == cursor[0] else 0
            while len(text) > least and text[-1].data == " ":
                text.pop()
            if number == cursor[0]:
                at = (len(rows) + cursor[1] // columns, cursor[1] % columns)
            for start in range(0, len(text), columns):
                if start:
                    self.wrapped.add(len(rows) - 1)
                rows.append(text[start : start + columns])
            if not text:
                rows.append([])
        while rows and not rows[-1] and len(rows) - 1 > at[0]:
            rows.pop()
        gone = max(0, len(rows) - lines)
        self.gone += ["".join(cell.data for cell in row) for row in rows[:gone]]
        self.wrapped = {row - gone for row in self.wrapped if row >= gone}
        self.buffer.clear()
        super().resize(lines, columns)
        for number, cells in enumerate(rows[gone:]):
            self.buffer[number].update(enumerate(cells))
        self.cursor.y, self.cursor.x = at[0] - gone, at[1]


class ForkedTerminal(ptyprocess.PtyProcess):  # type: ignore[misc]
    """What ptyprocess knows of a child on a pseudo-terminal, for one of another process."""

    def __init__(
        self,
        server: forked.Server,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int],
    ) -> None:
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, size)
        standard = [theirs, os.dup(theirs), os.dup(theirs)]
        self._command = server.fork(arguments, environment, standard, leads=True)
        super().__init__(self._command.pid, ours)

    def isalive(self) -> bool:
        code = self._command.wait() if self.flag_eof else self._command.poll()
        if code is not None:
            self.terminated = True
            self.exitstatus = code if code >= 0 else None
            self.signalstatus = -code if code < 0 else None
        return code is None

    def wait(self) -> int | None:
        self._command.wait()
        self.isalive()
        return self.exitstatus


class Spawned(pexpect.spawn):  # type: ignore[misc,name-defined]
    """A child of pexpect's: `python -m minireason`, forked where that makes no difference."""

    def __init__(self, arguments: Sequence[str], **spawned: Any) -> None:
        self._arguments = arguments
        super().__init__(sys.executable, ["-m", "minireason", *arguments], **spawned)

    def _spawnpty(self, args: list[bytes], **spawned: Any) -> Any:
        server = None if spawned["preexec_fn"] else forked.server(spawned["env"])
        if server is None:
            return super()._spawnpty(args, **spawned)
        return ForkedTerminal(server, self._arguments, spawned["env"], spawned["dimensions"])


class Terminal:
    """minireason in a terminal of this size; `wraps_again` after a resize; `in_shell`: in bash."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 80,
        rows: int = 30,
        wraps_again: bool = True,
        in_shell: bool = False,
        **spawned: Any,
    ) -> None:
        self.screen = (Screen if wraps_again else pyte.Screen)(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.raw = ""
        names = ("XTERM_VERSION", "STY", "TMUX")
        environment = {name: value for name, value in os.environ.items() if name not in names} | {
            "TERM": "xterm-256color"
        }
        environment |= spawned.pop("env", {})
        spawned |= {"encoding": "utf-8", "dimensions": (rows, columns)}
        if in_shell:
            environment |= {"PS1": "$ ", "HISTFILE": ""}
            shell = ["--norc", "--noprofile", "-i"]
            self.child = pexpect.spawn("bash", shell, env=environment, **spawned)
            self.child.send(f"{shlex.join([*COMMAND, *arguments])}\r")
        else:
            self.child = Spawned(arguments, env=environment, **spawned)

    def until(self, there: Callable[[], object]) -> str:
        """Read on until something is so; the screen."""
        end = time.monotonic() + PATIENCE_S
        while not there():
            assert time.monotonic() < end, f"it never came to that:\n{self.text}"
            self.read()
        return self.text

    def see(self, text: str) -> str:
        """Read on until the screen shows a text, wrapped perhaps; the screen."""
        return self.until(lambda: text in self.text or text in " ".join(self.text.split()))

    def ready(self) -> str:
        """Read on until there is an input line to type in; the screen."""
        return self.until(lambda: self.text.splitlines()[-1:] in (["> "], [">"]))

    def read(self) -> bool:
        """Read what comes within a moment; whether something did."""
        try:
            out = self.child.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF:
            time.sleep(0.05)
            return False
        self.raw += out
        self._stream.feed(out)
        if "\x1b[6n" in out:  # where the cursor is, as a terminal answers
            self.child.send(f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R")
        return True

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def enter(self, line: str) -> str:
        """Type a line when there is a place for it, and read on until there is one for the next.

        Returns the screen.
        """
        self.ready()
        self.type(f"{line}\r")
        self.see(line[:30])
        return self.ready()

    def resize(self, columns: int) -> None:
        """Between two writes of the program: what it sent for the old size has arrived."""
        self.child.kill(signal.SIGSTOP)
        before = -1
        while len(self.raw) > before:
            before = len(self.raw)
            self.read()
        self.screen.resize(self.screen.lines, columns)
        self.child.setwinsize(self.screen.lines, columns)
        self.child.kill(signal.SIGCONT)

    def ended(self) -> int | None:
        """The exit code, once it has ended."""
        end = time.monotonic() + PATIENCE_S
        while self.child.isalive() and time.monotonic() < end:
            self.read()
        while self.read():  # what it wrote at its end
            pass
        self.child.close()
        return self.child.exitstatus  # type: ignore[no-any-return]
