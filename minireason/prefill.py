"""Read a prompt into the cache ahead of time, while nobody else wants the model."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from minireason.engine import sequence as engine
from minireason.engine.scheduler import Scheduler
from minireason.errors import EngineError, UsageError
from minireason.events import Message

if TYPE_CHECKING:
    from minireason.reasoner import Reasoner

SLICE_TOKENS = 128
"""Whoever asks for something in the meantime waits for at most so many tokens."""

ROOM_TOKENS = 256
"""For so many more, a question and the beginning of its reply, the cache is grown ahead of time too."""

_PAUSE_S, _AWAY_S = 0.001, 0.02


class Prefill:
    """A sequence that is read and generates nothing; also its own sink (see `engine.sequence.Sink`)."""

    full = False

    def __init__(self, scheduler: Scheduler, tokens: list[int]) -> None:
        self._scheduler, self._tokens = scheduler, tokens

    def run(self, stopped: Callable[[], bool]) -> int:
        """Read to the end or until stopped, stepping aside while there are other sequences; the number of tokens read."""
        read = 0
        while read < len(self._tokens) and not stopped():
            read, aside = self._slice(read)
            time.sleep(_AWAY_S if aside else _PAUSE_S)  # a lock is not fair: let others have it
        if not stopped():
            self._scheduler.reserve(ROOM_TOKENS)
        return read

    def _slice(self, read: int) -> tuple[int, bool]:
        """Read the next slice if nobody else is there: how much is read then, and whether somebody is."""
        with self._scheduler.lock:
            if self._scheduler.sequences:
                return read, True
            read = max(
                read, self._scheduler.cached(self._tokens)
            )  # a shorter beginning might cost the slot that has it
            rest = len(self._tokens) - read
            read += -(-rest // -(-rest // SLICE_TOKENS))  # slices of one size, as in the scheduler
            sequence = engine.Sequence(
                [*self._tokens[:read], self._tokens[read - 1]], None, self
            )  # the last one is not read
            sequence.only_read = True
            self._scheduler.add(sequence)
            try:
                while sequence in self._scheduler.sequences:
                    self._scheduler.step()
            finally:
                self._scheduler.remove(sequence)
            return read, False

    def take(self, _token: int) -> list[int]:
        """See `engine.sequence.Sink`."""
        return []

    def keeps(self, _n_ctx: int) -> int:
        """See `engine.sequence.Sink`."""
        return 0

    def limited_to(self, _n_ctx: int) -> None:
        """See `engine.sequence.Sink`."""

    def out_of_room(self) -> None:
        """See `engine.sequence.Sink`."""

    def failed(self, _error: EngineError) -> None:
        """See `engine.sequence.Sink`."""


class ReadAhead:
    """One thread at a time that reads the beginning of the next prompt into a model's cache; see `Reasoner.prefill`."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, reasoner: Reasoner, messages: Sequence[Message]) -> None:
        """Read what any next question after these messages will be preceded by, and return at once."""
        self.stop()
        self._stop = stop = threading.Event()

        def work() -> None:
            with suppress(
                EngineError, UsageError
            ):  # the question that comes will meet it again and tell
                reasoner.prefill(messages, stop.is_set)

        self._thread = threading.Thread(target=work, name="minireason-read-ahead", daemon=True)
        atexit.register(self.stop)  # before the C library is torn down
        self._thread.start()

    def wait(self) -> None:
        """Wait until it has read all."""
        if self._thread:
            self._thread.join()

    def stop(self) -> None:
        """Stop reading, at the next slice."""
        thread, self._thread = self._thread, None
        if thread:
            self._stop.set()
            thread.join()
            atexit.unregister(self.stop)
