"""Ctrl-Z while a reply runs: the shell gets its terminal back, and after fg all is drawn below."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from minireason.cli.terminal.drawing import DRAWING, DRAWN

_TRY_AGAIN_S = 0.01
_around: list[tuple[Callable[[], None], Callable[[], None]]] = []


@contextmanager
def suspendable(
    leave: Callable[[], None] = lambda: None, enter: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Within the block Ctrl-Z takes away what is drawn before the process stops; blocks may nest.

    `leave` is called before it stops and `enter` once it goes on. Where there is no Ctrl-Z
    (Windows), and outside of the main thread, this does nothing.
    """
    if not hasattr(signal, "SIGTSTP") or threading.current_thread() is not threading.main_thread():
        yield
        return
    _around.append((leave, enter))
    before = signal.signal(signal.SIGTSTP, _on_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
        _around.pop()


def _on_stop(_number: int, _frame: object) -> None:
    if not DRAWING.acquire(blocking=False):  # a line is half drawn, perhaps by this very thread
        again = threading.Timer(_TRY_AGAIN_S, os.kill, (os.getpid(), signal.SIGTSTP))
        again.daemon = True
        again.start()
        return
    try:
        for drawn in list(DRAWN):
            drawn.erase()
        for leave, _ in reversed(_around):
            leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # here it stops, and goes on
        signal.signal(signal.SIGTSTP, _on_stop)
        for _, enter in _around:
            enter()
    finally:
        DRAWING.release()
