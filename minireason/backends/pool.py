"""One loop that keeps N replies running: continuous batching as it looks from above a backend.

A reply that ends frees its place, and the next job that waits gets it. `solve` and `eval` both run
on this, and so may whatever else has many questions.

**What holds after an interruption**, which may come at any line: a job is among the `active` before
it leaves `waiting` (`settle` takes it out), an event is in `events` as soon as its stream has given
it away, and whoever takes one of them uses one act for it. So a turn that was cut off is made
again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Generic, TypeVar

from minireason.backends.base import ReplyStream
from minireason.backends.concurrency import BatchSize
from minireason.errors import UsageError
from minireason.events import Event

J = TypeVar("J")


class Active(Generic[J]):
    """A job and the stream of its reply; `error` is what the code of its own schema raised."""

    def __init__(self, job: J, stream: ReplyStream) -> None:
        self.job, self.stream = job, stream
        self.error: UsageError | None = None


class Pool(Generic[J]):
    """Jobs that wait, and as many of them running as `size` says.

    Each round is `fill`, then a `turn`. Whoever runs it looks at `active` for streams that have
    ended and takes those out with `remove`. `events` holds what came and was not read yet.
    """

    def __init__(self, jobs: Iterable[J], size: BatchSize) -> None:
        self.waiting, self.size = deque(jobs), size
        self.active: list[Active[J]] = []
        self.events: deque[tuple[Active[J], Event]] = deque()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return bool(self.waiting or self.active)

    @property
    def tokens(self) -> int:
        """Tokens that the active replies have by now."""
        return sum(active.stream.tokens for active in list(self.active))

    def settle(self) -> None:
        """Take a job out of `waiting` that runs already: what an interruption left half done."""
        if self.waiting and any(active.job is self.waiting[0] for active in self.active):
            self.waiting.popleft()

    def fill(
        self, start: Callable[[J], ReplyStream], allowed: Callable[[], bool] = lambda: True
    ) -> None:
        """Start jobs while there are free places and it is allowed; raises what `start` does."""
        self.settle()
        while self.waiting and len(self.active) < self.size.now and allowed():
            job = self.waiting[0]
            self.active.append(Active(job, start(job)))
            self.waiting.popleft()

    def turn(self) -> Iterator[Active[J]]:
        """At most one step of the model for each active reply, each yielded after its own.

        Whatever time its user takes in between is not counted in measuring what is worth it.
        """
        before, spent_s = self.tokens, 0.0
        for active in list(self.active):
            began = time.perf_counter()
            self.poll(active)
            spent_s += time.perf_counter() - began
            yield active
        streams = [active.stream for active in self.active]
        self.size.observe(streams, self.tokens - before, spent_s)

    def poll(self, active: Active[J]) -> None:
        """Put what is there of a reply among the events, after one step of the model at most.

        Raises UsageError where the model cannot be used now, as in the middle of a step.
        """
        try:
            self.events.extend(zip(repeat(active), active.stream.poll(), strict=False))
        except UsageError as error:
            if not active.stream.ended:
                raise
            active.error = error  # of the schema's own code: there is no typed value

    def remove(self, active: Active[J]) -> None:
        """Take one out whose reply is not needed any more; its place is free."""
        if active in self.active:
            self.active.remove(active)

    def close(self) -> None:
        """End all that runs; nothing more is started."""
        self.waiting.clear()
        while self.active:
            self.active[-1].stream.close()
            self.active.pop()
