"""The only way to an object of the C library: it is there until `close`, and never in a process
that was forked.

A call after `close`, a `close` in the middle of a call and the end of Python, when daemon threads
still run, would all use what is freed. So a call holds the handle's lock and keeps what `get` gives
in a local variable. Then `close` waits for the calls of other threads, and one that a signal
handler makes inside a call frees when that call is over.
"""

from __future__ import annotations

import atexit
import itertools
import operator
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from minireason.errors import EngineError

_CLOSED = "This model is closed; load it again."
_FORKED = (
    "This model was loaded before this process was forked, and works in the parent only; "
    "load it again here, or start processes with the method spawn."
)


class _Process:
    """What became of this process."""

    forks = 0
    leaving = False
    has_threads = False
    """Whether llama.cpp has started threads of its own here."""
    lost_threads = False
    """Whether it had started some before this process was forked; it would wait for them for
    ever."""


class Owner:
    """A C object that `make` makes.

    It is freed when nobody holds this any more, and before what it `needs`. An interruption waits
    until a C call is over, and comes before its result is stored. Within `extend` there is no place
    for it if `make` has none, as a partial of a C function; so nothing is made and not held.
    """

    __slots__ = ("__weakref__", "_held")

    def __init__(
        self, make: Callable[[], Any], free: Callable[[Any], None], needs: Owner | None
    ) -> None:
        self._held: list[Any] = []
        finalizer = weakref.finalize(self, _free, free, self._held, needs, _Process.forks)
        finalizer.atexit = False  # `_leave` does it, after what runs
        self._held.extend(map(operator.call, (make,)))

    @property
    def pointer(self) -> Any:
        """The C pointer; NULL if it could not be made."""
        return self._held[0]


def _free(free: Callable[[Any], None], held: list[Any], _needs: Owner | None, forks: int) -> None:
    if forks != _Process.forks:  # the parent's objects are the parent's to free
        return
    while held:
        if pointer := held.pop():
            free(pointer)


class Handle:
    """A C object that `make` makes and `free` frees; it `needs` another to live as long, as a
    context needs its model.

    Closed from the beginning if `make` gives NULL.
    """

    def __init__(
        self, make: Callable[[], Any], free: Callable[[Any], None], needs: Owner | None = None
    ) -> None:
        self.lock = threading.RLock()
        self._owner: Owner | None = None
        self._why = _CLOSED
        number = next(_numbers)
        _handles[number] = weakref.ref(self, lambda _: _handles.pop(number, None))
        with self.lock:
            if _Process.leaving:
                raise self._gone()
            owner = Owner(make, free, needs)
            if owner.pointer:
                self._owner = owner

    @property
    def is_open(self) -> bool:
        """Whether the object is there."""
        return self._owner is not None

    def get(self) -> Owner:
        """The object, to be called with the lock held; raises EngineError if it is gone."""
        owner = self._owner
        if owner is None:
            raise self._gone()
        return owner

    def close(self) -> None:
        """Free the object, after the calls of other threads that run; every later call raises
        EngineError."""
        with self.lock:
            self._owner = None

    def forget(self) -> None:
        """After a fork: the object stays with the parent, and nobody here holds the lock."""
        self.lock = threading.RLock()
        self._owner, self._why = None, _FORKED

    def _gone(self) -> BaseException:
        if _Process.leaving and threading.current_thread().daemon:
            return SystemExit()  # nobody is there to read a traceback: the thread ends
        return EngineError(self._why)


_numbers = itertools.count()
_handles: dict[int, weakref.ref[Handle]] = {}
"""All handles, oldest first; a dict, since a list of its values is made in one go while other
threads add to it."""


def _alive() -> list[Handle]:
    """All handles, the newest first: contexts before their models."""
    handles = [reference() for reference in reversed(list(_handles.values()))]
    return [handle for handle in handles if handle is not None]


def starts_threads() -> None:
    """To be called before llama.cpp computes on more than one thread; raises EngineError where that
    would hang."""
    if _Process.lost_threads:
        raise EngineError(
            "This process was forked from one that ran a model on several threads, for which "
            "llama.cpp would wait here for ever; start processes with the method spawn, or load "
            "with n_threads=1."
        )
    _Process.has_threads = True


def is_leaving() -> bool:
    """Whether Python is about to end, so that nothing new should be begun."""
    return _Process.leaving


def _leave() -> None:
    """At the end of Python: wait for what daemon threads run in the library, and let them begin
    nothing more."""
    _Process.leaving = True
    for handle in _alive():
        handle.close()


def _in_child() -> None:
    _Process.forks += 1
    _Process.lost_threads |= _Process.has_threads
    for handle in _alive():
        handle.forget()


atexit.register(_leave)
if hasattr(os, "register_at_fork"):  # POSIX only; Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
