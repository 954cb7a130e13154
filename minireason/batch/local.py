"""Run a batch over one backend: as many replies at a time as are worth it, from the first on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Literal, TypeAlias

from minireason.backends import concurrency
from minireason.backends.base import Backend, ReplyStream, StreamOptions
from minireason.backends.pool import Active, Pool, PoolRun
from minireason.batch.jobs import REPLY, SAMPLE, Job
from minireason.errors import ContextFull, MinireasonError, UsageError
from minireason.events import Reply

LOOKED_AT = 64
"""How many of the first jobs decide for how long prompts there has to be room."""

MOST_HELD = 256
"""How far replies may be ahead of one that is still missing, where their order is kept."""

OPTIONS = StreamOptions(cache_reply=False)
"""How replies are asked for of which none goes on."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A job and its reply."""

    job: Job
    reply: Reply

    def json(self, *, numbered: bool) -> dict[str, object]:
        """The object of its line; `numbered`: each item has several replies."""
        item = self.job.item
        number = {SAMPLE: self.job.sample} if numbered else {}
        return {"id": item.id, **number, **item.further, REPLY: asdict(self.reply)}


@dataclass(frozen=True, slots=True)
class Refused:
    """A job that this model cannot be asked, or that its server has refused, and why."""

    job: Job
    error: MinireasonError


Result: TypeAlias = Answered | Refused


def batch_size(
    backend: Backend,
    first: Sequence[Job],
    requested: int | Literal["auto"],
    most: int | None,
    *,
    measure: bool = True,
) -> concurrency.BatchSize:
    """How many at a time, by the longest prompt and the longest reply of the first jobs.

    `measure`: see `concurrency.batch_size`.
    """
    prompt_tokens, limits = 0, [job.settings.max_tokens for job in first]
    for job in first:
        with suppress(UsageError, ContextFull):  # told when it is started
            tokens = backend.count_tokens(job.item.messages, at_most=backend.n_ctx)
            prompt_tokens = max(prompt_tokens, min(tokens, backend.n_ctx))
    known = [limit for limit in limits if limit is not None]
    max_tokens = max(known) if known and len(known) == len(limits) else None
    fitting = concurrency.fitting(backend, prompt_tokens, max_tokens)
    depth = concurrency.mean_depth(prompt_tokens, max_tokens)
    fitting = fitting if most is None else max(1, min(most, fitting))
    return concurrency.batch_size(backend, requested, fitting, measure=measure, depth=depth)


class Order:
    """Lets results through in the order of their jobs, or as they come where it is not `kept`."""

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept
        self._jobs: deque[Job] = deque()
        self._held: dict[int, Result] = {}

    @property
    def full(self) -> bool:
        """Whether so many are held back that no further job is to be started."""
        return len(self._jobs) >= MOST_HELD

    def note(self, job: Job) -> None:
        """The next job."""
        if self._kept:
            self._jobs.append(job)

    def settled(self, result: Result) -> Iterator[Result]:
        """The results whose turn it is, now that there is this one."""
        if not self._kept:
            yield result
            return
        self._held[id(result.job)] = result
        while self._jobs and id(self._jobs[0]) in self._held:
            yield self._held.pop(id(self._jobs.popleft()))


class Runner(PoolRun[Job]):
    """Runs jobs that come from a file, of which a few at a time are in memory.

    `in_order`: results come in the order of the jobs, else as they end. `finished` says whether all
    have come.
    """

    def __init__(self, backend: Backend, *, in_order: bool = False) -> None:
        super().__init__()
        self._backend, self._order = backend, Order(kept=in_order)
        self.finished = False

    def results(
        self,
        jobs: Iterator[Job],
        requested: int | Literal["auto"] = "auto",
        most: int | None = None,
    ) -> Iterator[Result | None]:
        """What comes of the jobs, `requested` at a time and never more than `most`.

        In between comes None again and again, for whoever shows how far it is. Replies that were
        under way when the run is cancelled are dropped. Raises EngineError.
        """
        first = list(islice(jobs, LOOKED_AT))
        pool: Pool[Job] = Pool((), batch_size(self._backend, first, requested, most))
        self.pool = pool
        jobs = chain(first, jobs)
        try:
            while not self.cancelled:
                for refused in self._fill(jobs):
                    yield from self._order.settled(refused)
                if not pool.active:
                    self.finished = True
                    return
                for active in pool.turn():
                    if active.stream.ended:
                        yield from self._order.settled(self._end(active))
                pool.events.clear()
                yield None
        finally:
            self.end()
            self._backend.release()

    def _fill(self, jobs: Iterator[Job]) -> Iterator[Refused]:
        """Start jobs while there are free places; those that cannot be asked are given back."""
        pool = self.pool
        while True:
            free = pool.size.now - len(pool.active) - len(pool.waiting)
            pool.waiting.extend(islice(jobs, max(0, free)))
            try:
                pool.fill(self._start, lambda: not self._order.full)
            except (UsageError, ContextFull) as error:
                job = pool.waiting.popleft()
                self._order.note(job)
                yield Refused(job, error)
            else:
                return

    def _start(self, job: Job) -> ReplyStream:
        stream = self._backend.stream(job.item.messages, job.settings, OPTIONS)
        self._order.note(job)
        return stream

    def _end(self, active: Active[Job]) -> Result:
        """The reply of a stream that has ended, or why the server has refused to give one."""
        stream = active.stream
        stream.close()
        with suppress(UsageError):  # of a value that its schema refuses; told once
            _ = stream.reply
        self.ended_tokens += stream.tokens
        self.pool.remove(active)
        if active.error and stream.reply.finish_reason == "cancelled":
            return Refused(active.job, active.error)
        return Answered(active.job, stream.reply)
