"""The terminal around a chat: keys while a reply runs, and what happens when it is closed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from minireason.cli.terminal.suspension import suspendable

_HUNG_UP, _TERMINATED = 129, 143
_PASTES_UNMARKED, _WRAP_ON = b"\x1b[?2004l", b"\x1b[?7h"


@contextmanager
def keys_unseen() -> Iterator[None]:
    """Let keys typed within the block wait unseen for the next input line.

    Shown, they would tear the lines that are drawn.
    """
    before = _modes()
    try:
        _set(before, quiet=True)
        with suspendable(lambda: _set(before), lambda: _set(before, quiet=True)):
            yield
    finally:
        _set(before)


def when_closed(save: Callable[[], None]) -> None:
    """Call `save` and end when the terminal is closed or the process is asked to end.

    The terminal is left as it was.
    """
    before = _modes()

    def on_signal(number: int, _frame: object) -> None:
        save()
        if before:
            _set(before)
            with suppress(OSError):
                os.write(sys.stdout.fileno(), _PASTES_UNMARKED + _WRAP_ON + b"\r\n")
        os._exit(_TERMINATED if number == signal.SIGTERM else _HUNG_UP)

    for name in ("SIGHUP", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), on_signal)


def _modes() -> list[Any] | None:
    """The modes of the terminal on standard input; None where there is none.

    Windows has no such modes.
    """
    if os.name == "nt" or sys.stdin is None or not sys.stdin.isatty():
        return None
    import termios

    return termios.tcgetattr(sys.stdin)


def _set(modes: list[Any] | None, *, quiet: bool = False) -> None:
    """Set the modes of the terminal.

    `quiet`: but without showing keys and without editing lines, which the terminal itself can do
    for 4,095 bytes only.
    """
    if modes is None:
        return
    import termios

    changed = list(modes)
    if quiet:
        changed[3] &= ~(termios.ECHO | termios.ICANON)
    with suppress(termios.error):  # closed
        termios.tcsetattr(sys.stdin, termios.TCSANOW, changed)
