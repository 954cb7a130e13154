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
from typing import ParamSpec, TypeAlias, TypeVar

from minireason.errors import UsageError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Place: TypeAlias = tuple[int, threading.Lock]
"""A thread, and the gate before which it waits until it is the first of the line."""


class FairLock:
    """Runs one act at a time."""

    def __init__(self) -> None:
        self._line: deque[_Place] = deque()
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        self._turn: _Turn | None = None

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return len(self._line)

    @property
    def used_here(self) -> bool:
        """Whether this thread holds the lock or waits for it, so that it cannot ask again."""
        thread, turn = threading.get_ident(), self._turn
        if turn and turn.inside and turn.thread == thread and self._is_held_here():
            return True
        return bool(self._line) and any(place[0] == thread for place in list(self._line))

    def _is_held_here(self) -> bool:
        try:
            self._condition.notify(0)  # wakes nobody, and asks the RLock itself
        except RuntimeError:
            return False
        return True

    def run(self, act: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call a function when it is this thread's turn; raises UsageError inside another act."""
        if self.used_here:
            raise UsageError(
                "The model is in the middle of a step in this thread, so a callback or a signal "
                "handler cannot use it; call cancel() there, or wait until the step is over."
            )
        with _Turn(self, self._line) as turn:
            with self._lock:
                self._turn, turn.inside = turn, True
                self._line.popleft()  # nobody but the first of the line comes here
                _let_first_in(self._line)
                result = act(*args, **kwargs)
            turn.inside = False
            return result

    def give_back(self) -> None:
        """Release the lock if this thread holds it still, as after a debugger's interruption."""
        if self._is_held_here():
            self._lock.release()


class _Turn:
    """One thread's place in the line; `inside` until it has certainly given the lock back."""

    __slots__ = ("_line", "_lock", "_place", "inside", "thread")

    def __init__(self, lock: FairLock, line: deque[_Place]) -> None:
        self._place: _Place | None = None
        self._lock, self._line = lock, line
        self.thread, self.inside = threading.get_ident(), False

    def __enter__(self) -> _Turn:
        gate = threading.Lock()
        gate.acquire()
        self._place = place = (self.thread, gate)
        line = self._line
        try:
            line.append(place)
            if line[0] is not place:
                _let_first_in(line)  # in case that who left before was kept from it
                gate.acquire()
            return self
        except BaseException:
            self._leave()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._leave()
        except BaseException:
            self._leave()
            raise

    def __del__(self) -> None:
        if getattr(self, "_place", None):
            self._leave_line()

    def _leave(self) -> None:
        if self.inside:
            self._lock.give_back()
            self.inside = False
        self._leave_line()

    def _leave_line(self) -> None:
        place, line = self._place, self._line
        if place and place in line:
            line.remove(place)
        _let_first_in(line)
        self._place = None  # until here, there is something left to do for `__del__`


def _let_first_in(line: deque[_Place]) -> None:
    if not line:
        return
    try:
        line[0][1].release()
    except (IndexError, RuntimeError):
        return  # it has just left, or its gate is open
