"""Our own CPU time a token: scheduler, parser, budget, loop check and events, on a scripted engine.

The model is tiny, for its vocabulary alone; a runner that computes nothing gives words in the place
of its tokens.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import subject

from minireason import Reasoner, load
from minireason.backends.local import LocalBackend
from minireason.engine.base import Batch, Mask
from minireason.engine.room import CacheRoom
from minireason.engine.scheduler import Scheduler

N_CTX = 20_480
MEASURED_TOKENS = 500
ROUNDS = 5


class ScriptedRunner:
    """See `minireason.engine.base.ModelRunner`; it computes nothing and says what is written."""

    def __init__(self, script: list[int]) -> None:
        self.n_slots, self.slot_tokens = 1, N_CTX
        self.n_batch = self.n_outputs = 512
        self.wide_tokens = 0
        self._script = script

    def decode(self, batch: Batch) -> bool:
        return True

    def stop(self) -> None: ...

    def sample(self, sampler: Any, row: int, draw: int, mask: Mask | None = None) -> int:
        return self._script[draw % len(self._script)]

    def confidence(self, row: int) -> float:
        return 0.0

    def logits(self, row: int) -> Any:
        raise NotImplementedError("nobody asks for log-probabilities")

    def trim(self, slot: int, keep: int) -> None: ...

    def clear(self) -> None: ...

    def close(self) -> None: ...

    def save(self, slot: int) -> Any:
        raise NotImplementedError("one sequence is never parked")

    def restore(self, slot: int, state: Any) -> None: ...

    def resize(self, n_slots: int, slot_tokens: int) -> bool:
        self.n_slots, self.slot_tokens = n_slots, slot_tokens
        return True

    def finish_resize(self) -> bool:
        return True


def cpu_us(depth: int) -> float:
    """Microseconds of CPU time a token after so many tokens: the median of some stretches."""
    with load("tiny", n_threads=1) as reasoner:
        return _cpu_us(reasoner, depth)


def _cpu_us(reasoner: Reasoner, depth: int) -> float:
    backend = reasoner.backend
    assert isinstance(backend, LocalBackend)
    script = backend.encoder.text(subject.words(N_CTX // 4))
    room = CacheRoom(n_ctx=N_CTX, max_tokens=N_CTX, start_tokens=N_CTX, spare_tokens=0, max_slots=1)
    backend.scheduler = Scheduler(ScriptedRunner(script), room)
    times = []
    with reasoner.stream("What is 347 + 586?", temperature=0) as stream:
        while stream.tokens < depth:
            stream.poll()
        for _ in range(ROUNDS):
            began, before = time.process_time(), stream.tokens
            while stream.tokens < before + MEASURED_TOKENS:
                stream.poll()
            times.append((time.process_time() - began) / (stream.tokens - before))
    return 1e6 * statistics.median(times)
