"""A lock that threads get in the order in which they asked for it, and that is not re-entrant.

Whoever runs the loop takes the lock for each step again. The lock of `threading` goes to whoever
asks first once it is free, which on several cores is the thread that has just given it back, so
that others wait for seconds. Here threads stand in a line, and only the first of it waits for the
lock itself: who comes back goes to the end, and a wait is over after one turn of each thread that
came before.

An interruption may come at any line of this file. The lock itself is held by a `with` statement
over an RLock, which is taken and given back within one C call. So whatever is cut off, it is free
when the statement is over, also while the exception is kept. A place in the line is given up
before the act begins, and by whatever else happens to the `_Turn` it belongs to: that its block
ends, that it fails to begin, or at last that it is dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from minireason.errors import UsageError

_T = TypeVar("_T")


class FairLock:
    """Runs one act at a time."""

    def __init__(self) -> None:
        self._line: deque[threading.Lock] = deque()
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._line)

    @property
    def held_here(self) -> bool:
        """Whether this thread holds the lock."""
        try:
            self._condition.notify(0)  # wakes nobody, and asks the RLock itself
        except RuntimeError:
            return False
        return True

    def run(self, act: Callable[[], _T]) -> _T:
        """Run an act when it is this thread's turn; raises UsageError inside another one."""
        if self.held_here:
            raise UsageError(
                "The model is in the middle of a step in this thread, so a callback or a signal "
                "handler cannot use it; call cancel() there, or wait until the step is over."
            )
        with _Turn(self, self._line), self._lock:
            self._line.popleft()  # nobody but the first of the line comes here
            _let_first_in(self._line)
            return act()

    def give_back(self) -> None:
        """Release the lock if this thread holds it still, as after a debugger's interruption."""
        if self.held_here:
            self._lock.release()


class _Turn:
    """One thread's place in the line.

    The place is a gate: it is closed until the thread is the first of the line.
    """

    __slots__ = ("_gate", "_line", "_lock")

    def __init__(self, lock: FairLock, line: deque[threading.Lock]) -> None:
        self._lock, self._line = lock, line

    def __enter__(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        self._gate = gate
        try:
            self._line.append(gate)
            if self._line[0] is not gate:
                _let_first_in(self._line)  # in case that who left before was kept from it
                gate.acquire()
        except BaseException:
            self._leave()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._lock.give_back()
            self._leave()
        except BaseException:
            self._lock.give_back()
            self._leave()
            raise

    def __del__(self) -> None:
        if hasattr(self, "_gate"):
            self._leave()

    def _leave(self) -> None:
        if not hasattr(self, "_gate"):
            return
        if self._gate in self._line:
            self._line.remove(self._gate)
        _let_first_in(self._line)
        del self._gate  # until here, there is something left to do for `__del__`


def _let_first_in(line: deque[threading.Lock]) -> None:
    if not line:
        return
    try:
        line[0].release()
    except (IndexError, RuntimeError):
        return  # it has just left, or its gate is open
