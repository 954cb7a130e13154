"""A lock that threads get in the order in which they asked for it.

Whoever runs the loop takes the lock for each step again. The lock of `threading` goes to whoever asks first once it is free,
which on several cores is the thread that has just given it back, so that others wait for seconds. Here the first of a line
holds the lock, and who comes back goes to its end: a wait is over after one turn of each thread that came before.

An interruption may come at any line of this file. A place in the line is given up by whatever happens to the `Turn` it
belongs to: that its block ends, that it fails to begin, or at last that it is dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TypeAlias

_Place: TypeAlias = tuple[int, threading.Lock]
"""A thread, and the gate before which it waits until it is the first of the line."""


class FairLock:
    """Use it as `with lock.turn():`; a thread that holds it may take it again."""

    def __init__(self) -> None:
        self._line: deque[_Place] = deque()

    def turn(self) -> Turn:
        """A place in the line, taken when the `with` block is entered and given up at its end."""
        return Turn(self._line)

    @property
    def waiting(self) -> int:
        """How many threads wait."""
        return max(0, len(self._line) - 1)


class Turn:
    """One thread's use of the lock; made by `FairLock.turn`."""

    __slots__ = ("_line", "_place")

    def __init__(self, line: deque[_Place]) -> None:
        self._line = line

    def __enter__(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        line, place = self._line, (threading.get_ident(), gate)
        self._place: _Place = place
        if _holder(line) == place[0]:
            return  # within an outer turn of this thread
        try:
            line.append(place)
            if line[0] is not place:
                _let_first_in(line)  # in case that who left before was kept from it
                gate.acquire()
        except BaseException:
            self._leave()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._leave()
        except BaseException:  # whoever keeps the exception keeps this turn too
            self._leave()
            raise

    def __del__(self) -> None:
        if hasattr(self, "_place"):
            self._leave()

    def _leave(self) -> None:
        if not hasattr(self, "_place"):
            return
        if self._place in self._line:  # else it was within an outer turn
            self._line.remove(self._place)
        _let_first_in(self._line)
        del self._place  # until here, there is something left to do for `__del__`


def _holder(line: deque[_Place]) -> int | None:
    try:
        return line[0][0] if line else None
    except IndexError:
        return None  # it has just left


def _let_first_in(line: deque[_Place]) -> None:
    if not line:
        return
    try:
        line[0][1].release()
    except (IndexError, RuntimeError):
        return  # it has just left, or its gate is open
