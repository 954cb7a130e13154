"""Ctrl-C that waits until a call of the C library is over."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class DeferredInterrupt:
    """A block in which Ctrl-C is only noted, and comes when the block ends or at `deliver`.

    For calls in which the library calls back into Python: what a signal handler raises there,
    ctypes prints and drops, and the program would go on. Outside the main thread, where no signal
    arrives, and where Python does not handle SIGINT, nothing changes.
    """

    def __init__(self) -> None:
        self._previous: signal.Handlers | signal._HANDLER = None
        self._noted: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> DeferredInterrupt:
        if threading.current_thread() is not threading.main_thread():
            return self
        previous = signal.getsignal(signal.SIGINT)
        if not callable(previous):
            return self
        self._previous = previous
        try:
            signal.signal(signal.SIGINT, self._note)
            return self
        except BaseException:
            self._restore()
            raise

    def __exit__(self, *_: object) -> None:
        self._restore()
        self.deliver()

    def deliver(self) -> None:
        """Call the handler that was there before, if Ctrl-C came since; raises what it raises."""
        noted, self._noted = self._noted, None
        if noted and callable(self._previous):
            self._previous(*noted)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = number, frame

    def _restore(self) -> None:
        if callable(self._previous):
            signal.signal(signal.SIGINT, self._previous)
