"""One loop that keeps N replies running: continuous batching as it looks from above a backend.

A reply that ends frees its place, and the next job that waits gets it. `solve`, `eval` and `batch`
run on this, and so may whatever else has many questions.

**What holds after an interruption**, which may come at any line: a job is among the `active` before
it leaves `waiting` (`settle` takes it out), an event is in `events` as soon as its stream has given
it away, and whoever takes one of them uses one act for it. So a turn that was cut off is made
again.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Generic, Literal, TypeVar

from minireason.backends.base import Backend, ReplyStream, reply_of
from minireason.backends.concurrency import LOOKED_AT, BatchSize, FixedSize, batch_size_for
from minireason.backends.remote.faults import BUSY
from minireason.errors import ContextFull, MinireasonError, ServerError, UsageError
from minireason.events import Event
from minireason.messages import Message
from minireason.settings import Settings

J = TypeVar("J")

MOST_TRIES = 5
"""A reply that was lost so often in the middle is given up."""


class Active(Generic[J]):
    """A job and the stream of its reply.

    `error` is what the code of its own schema raised, or in an `EnduringPool` what lost its reply.
    """

    def __init__(self, job: J, stream: ReplyStream) -> None:
        self.job, self.stream = job, stream
        self.error: UsageError | ServerError | None = None


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
    def places(self) -> int:
        """How many replies may run at a time now."""
        return self.size.now

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
        while self.waiting and len(self.active) < self.places and allowed():
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


class EnduringPool(Pool[J]):
    """A pool in which a reply that its server loses, or has no place for, ends no other one.

    Where the server is busy with what runs, fewer run at a time, and one more with each reply.
    `losses` says how often the reply of a job was lost, by `id`, nobody else's as long as the job
    waits or runs; a job that had begun, or was turned away, has an entry.
    """

    def __init__(self, jobs: Iterable[J], size: BatchSize) -> None:
        super().__init__(jobs, size)
        self.losses: Counter[int] = Counter()
        self._let: int | None = None
        """How many a busy server lets run."""
        self._came = False
        """Whether a reply has come since no other one ran."""

    @property
    def places(self) -> int:
        """See `Pool.places`."""
        return self.size.now if self._let is None else min(self.size.now, self._let)

    def poll(self, active: Active[J]) -> None:
        """See `Pool.poll`."""
        try:
            super().poll(active)
        except ServerError as error:
            if not active.stream.ended:
                raise
            active.error = error

    def asks_again(self, active: Active[J]) -> bool:
        """Have a job run again that was lost in the middle, or turned away; False for others.

        Raises what lost it before it began. One that was lost MOST_TRIES times is not asked again.
        """
        key, error = id(active.job), active.error
        if not isinstance(error, ServerError):
            self.losses.pop(key, None)
            self._came = True
            self._let = None if self._let is None else self._let + 1
            return False
        turned_away = not active.stream.tokens
        if turned_away:
            self._make_way(error)
        elif self.losses[key] + 1 >= MOST_TRIES:
            del self.losses[key]
            return False
        self.losses[key] += not turned_away
        self.waiting.appendleft(active.job)
        self.remove(active)
        return True

    def _make_way(self, error: ServerError) -> None:
        """Let no more run than those that do; raises the error where it is not for want of places.

        Where no other reply runs, and none has come since that was so, the places are not ours.
        """
        others = sum(not active.stream.ended for active in self.active)
        if error.status not in BUSY or not (others or self._came):
            raise error
        self._came = self._came and others > 0
        self._let = max(1, others)


@dataclass(frozen=True, slots=True)
class Refused(Generic[J]):
    """A job that the model cannot be asked, or that its server has refused, and why."""

    job: J
    error: MinireasonError


class PoolRun(ABC, Generic[J]):
    """A run of jobs that come one after the other, of which a few at a time are in memory.

    `pool` is the one of now, `ended_tokens` are those of replies that have left it. Nothing more is
    started once `cancelled`. `finished` says whether all jobs have come to an end.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.pool: EnduringPool[J] = EnduringPool((), FixedSize(1))
        self.ended_tokens = 0
        self.cancelled = self.finished = False

    @abstractmethod
    def asked(self, job: J) -> tuple[Sequence[Message], Settings]:
        """What a job asks, and how it is answered."""

    @abstractmethod
    def start(self, job: J) -> ReplyStream:
        """Open the stream of a job's reply."""

    @property
    def may_start(self) -> bool:
        """Whether a further job may be started."""
        return True

    @property
    def parallel(self) -> int:
        """How many replies run at a time."""
        return self.pool.places

    @property
    def tokens(self) -> int:
        """All tokens that were generated by now."""
        return self.ended_tokens + self.pool.tokens

    def cancel(self) -> None:
        """Ask from any thread or a signal handler that the run end here."""
        self.cancelled = True

    def outcomes(
        self, jobs: Iterator[J], requested: int | Literal["auto"], most: int | None
    ) -> Iterator[Active[J] | Refused[J] | None]:
        """Run jobs, `requested` at a time and never more than `most`: replies as they end.

        In between comes None again and again, for whoever shows how far it is. Whoever puts a job
        among those that wait in the pool has it run next. Replies that were under way when the run
        is cancelled are dropped, and one that is lost in the middle is asked for again, up to
        MOST_TRIES times in all. Raises EngineError or ServerError.
        """
        first = list(islice(jobs, LOOKED_AT))
        size = batch_size_for(self.backend, list(map(self.asked, first)), requested, most)
        self.pool = pool = EnduringPool[J]((), size)
        jobs = chain(first, jobs)
        try:
            while not self.cancelled:
                yield from self._fill(jobs)
                if not pool.active:
                    self.finished = True
                    return
                for active in pool.turn():
                    if active.stream.ended and (outcome := self._end(active)):
                        yield outcome
                pool.events.clear()
                yield None
        finally:
            self.ended_tokens += pool.tokens
            pool.close()
            self.backend.release()

    def _fill(self, jobs: Iterator[J]) -> Iterator[Refused[J]]:
        """Start jobs while there are free places; those that cannot be asked are given back."""
        pool = self.pool
        while True:
            free = pool.places - len(pool.active) - len(pool.waiting)
            pool.waiting.extend(islice(jobs, max(0, free)))
            try:
                pool.fill(self.start, self._may_start_next)
            except (UsageError, ContextFull) as error:
                yield Refused(pool.waiting.popleft(), error)
            else:
                return

    def _may_start_next(self) -> bool:
        """Whether the job that waits first may be started: one that had been is waited for."""
        return self.may_start or id(self.pool.waiting[0]) in self.pool.losses

    def _end(self, active: Active[J]) -> Active[J] | Refused[J] | None:
        """Take out a reply that has ended, or that the server has refused to give.

        None for one that is asked for again. Raises ServerError for one that never began.
        """
        stream = active.stream
        stream.close()
        reply = reply_of(stream)
        self.ended_tokens += stream.tokens
        if self.pool.asks_again(active):
            return None
        self.pool.remove(active)
        if active.error and reply.finish_reason == "cancelled":
            return Refused(active.job, active.error)
        return active
