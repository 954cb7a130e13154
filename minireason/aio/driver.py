"""The one thread that steps the engine for all async streams of a model: when it begins and ends.

It begins with the first stream, sleeps while nobody waits, and ends when the `Driver` is closed or
dropped, which the thread itself holds nothing of, and before Python ends. A process that was forked
has no such thread: streams of the parent's get an error there, and a new stream begins a new one.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import TypeVar

from minireason.aio.base import Source
from minireason.aio.feed import Feed
from minireason.aio.mailbox import Mailbox
from minireason.aio.rounds import Rounds
from minireason.errors import EngineError

E = TypeVar("E")

_EXIT_S = 10.0
"""How long the end of Python waits for a step of the model."""

_lock = threading.Lock()
_running: dict[Rounds, threading.Thread] = {}


class Driver:
    """Reads sources for tasks, in one thread; its methods may be called from any other one."""

    def __init__(self) -> None:
        self._rounds: Rounds | None = None
        self._closed = False

    def add(self, source: Source[E], mailbox: Mailbox[E]) -> Feed[E]:
        """Read a source for the task of a mailbox; raises EngineError after `close`."""
        with _lock:
            if not self._closed:
                rounds = self._begun()
                feed = Feed(source, mailbox, rounds.ring)
                rounds.add(feed)
                return feed
        source.close()
        raise EngineError("This AsyncReasoner was closed; make another one.")

    def _begun(self) -> Rounds:
        """What the thread runs; begins it where it does not run."""
        if self._rounds is None or self._rounds not in _running:
            self._rounds = _begin()
        return self._rounds

    def close(self) -> None:
        """End the thread after the step that runs; every stream that is open gets an EngineError.

        Waits for it, so not in an event loop.
        """
        with _lock:
            self._closed = True
            thread = _running.get(self._rounds) if self._rounds else None
        if self._rounds and thread:
            self._rounds.stop()
            thread.join()

    def __del__(self) -> None:
        rounds = getattr(self, "_rounds", None)
        if rounds:
            rounds.stop()


def _begin() -> Rounds:
    """Start a thread that goes its rounds."""
    # What was registered last is called first: so they end before the C library, which is loaded
    # by now, is torn down.
    atexit.unregister(_end_all)
    atexit.register(_end_all)
    rounds = Rounds()
    thread = threading.Thread(target=_run, args=(rounds,), name="minireason-async", daemon=True)
    _running[rounds] = thread
    thread.start()
    return rounds


def _run(rounds: Rounds) -> None:
    try:
        rounds.run()
    finally:
        _running.pop(rounds, None)


def _end_all() -> None:
    """Before Python ends."""
    running = list(_running.items())
    for rounds, _ in running:
        rounds.stop()
    for _, thread in running:
        thread.join(_EXIT_S)


def _in_child() -> None:
    """After a fork: no thread of the parent's runs here."""
    global _lock
    _lock = threading.Lock()
    running = list(_running)
    _running.clear()
    for rounds in running:
        rounds.abandon(
            "This stream was opened before this process was forked, and goes on in the parent "
            "only; open another one here.",
            close=False,
        )


if hasattr(os, "register_at_fork"):  # POSIX only; Windows has no fork
    os.register_at_fork(after_in_child=_in_child)
