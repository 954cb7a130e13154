"""A long computation for which the thread that wants it only waits."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

_T = TypeVar("_T")


class HelperCall(Generic[_T]):
    """A call in a thread of its own, so that an exception of a signal handler can end it.

    Python runs signal handlers in the main thread alone, and not while that is in a C call. The
    helper takes `lock` for its call; so whoever waits for the lock later on, after an interruption
    of the wait and of what follows it, finds the call ended or never begun. `stop` has the call end
    soon.
    """

    def __init__(
        self, call: Callable[[], _T], lock: threading.RLock, stop: Callable[[], None]
    ) -> None:
        self._call, self._lock, self._stop = call, lock, stop
        self._wanted, self._begun = True, False
        self._done = threading.Event()
        self._results: list[_T] = []
        self._error: BaseException | None = None

    def run(self) -> _T:
        """Give what the call gives and raise what it raises; not with the lock held.

        Whatever else is raised here, as KeyboardInterrupt, comes out after the call has ended.
        """
        with suppress(RuntimeError):
            while True:  # a debugger's interruption can leave it with this thread
                self._lock.release()
        try:
            threading.Thread(target=self._work, name="minireason-decode").start()
            self._done.wait()
        except BaseException:
            self._wanted = False
            self._stop()
            if self._begun:
                self._done.wait()
            raise
        try:
            if self._error is not None:
                raise self._error
            return self._results[0]
        finally:
            self._error = None  # its traceback holds this

    def _work(self) -> None:
        if sys.platform != "win32":  # so that the thread that waits gets signals, and wakes up
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with self._lock:
                self._begun = True
                if self._wanted:
                    self._results.append(self._call())
        except BaseException as error:  # it belongs to who waits
            self._error = error
        finally:
            self._done.set()
