"""Read a prompt into the cache ahead of time, while nobody else wants the model."""

from __future__ import annotations

import time
from collections.abc import Callable

from minireason.engine.scheduler import Scheduler
from minireason.engine.sequence import Sequence

SLICE_TOKENS = 64
"""Whoever asks for something in the meantime waits for at most so many tokens."""

_PAUSE_S, _AWAY_S = 0.001, 0.02


class Prefill:
    """A sequence that is read and generates nothing; also its own sink (see `engine.sequence.Sink`)."""

    full = False

    def __init__(self, scheduler: Scheduler, tokens: list[int]) -> None:
        # The last token of a sequence waits for its logits to be wanted, and here they never are.
        self._scheduler, self._sequence = scheduler, Sequence([*tokens, tokens[-1]], None, self)
        self._sequence.slice_tokens = SLICE_TOKENS
        self._ended = False

    def run(self, stopped: Callable[[], bool]) -> int:
        """Read to the end or until stopped, stepping aside while there are other sequences; the number of tokens read."""
        self._scheduler.add(self._sequence)
        try:
            while not stopped() and not self._ended:
                if not self._step():
                    self._scheduler.remove(self._sequence)  # what it read stays in the cache, to be found again
                    while self._scheduler.busy and not stopped():
                        time.sleep(_AWAY_S)
                    self._scheduler.add(self._sequence)
                time.sleep(_PAUSE_S)  # a lock is not fair: let others have it
            return self._sequence.decoded
        finally:
            self._scheduler.remove(self._sequence)

    def _step(self) -> bool:
        with self._scheduler.lock:
            if self._scheduler.others(self._sequence):
                return False
            if self._sequence.decoded < len(self._sequence.tokens) - 1:
                self._scheduler.step()
            self._ended = self._ended or self._sequence.decoded >= len(self._sequence.tokens) - 1
            return True

    def take(self, _token: int) -> list[int]:
        """See `engine.sequence.Sink`."""
        self._ended = True
        return []

    def out_of_room(self) -> None:
        """See `engine.sequence.Sink`."""
        self._ended = True
