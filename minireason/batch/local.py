"""Run a batch over one backend: as many replies at a time as are worth it, from the first on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from minireason.backends.base import Backend, ReplyStream, StreamOptions
from minireason.backends.pool import PoolRun, Refused
from minireason.batch.jobs import Job
from minireason.events import Reply, TokenLogprob
from minireason.messages import Message
from minireason.settings import Settings
from minireason.wire.logprobs import of_answer

MOST_HELD = 256
"""How far replies may be ahead of one that is still missing, where their order is kept."""

OPTIONS = StreamOptions(cache_reply=False)
"""How replies are asked for of which none goes on."""

Logprobs: TypeAlias = tuple[TokenLogprob, ...] | None
"""Those of the answer's tokens; None where the line does not ask for them."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A job and its reply."""

    job: Job
    reply: Reply
    logprobs: Logprobs = None


Result: TypeAlias = Answered | Refused[Job]


def opened(backend: Backend, job: Job) -> ReplyStream:
    """The stream of a job's reply; raises as `Backend.stream` does."""
    options = replace(OPTIONS, logprobs=job.item.logprobs)
    return backend.stream(job.item.messages, job.settings, options)


def logprobs(job: Job, stream: ReplyStream) -> Logprobs:
    """What a stream that has ended tells of them."""
    return None if job.item.logprobs is None else of_answer(stream, stream.reply.answer)


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
        """The next job, or one that is started again."""
        if self._kept and not any(job is one for one in self._jobs):
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
    """Runs jobs that come from a file.

    `in_order`: results come in the order of the jobs, else as they end.
    """

    def __init__(self, backend: Backend, *, in_order: bool = False) -> None:
        super().__init__(backend)
        self._order = Order(kept=in_order)

    def results(
        self,
        jobs: Iterator[Job],
        requested: int | Literal["auto"] = "auto",
        most: int | None = None,
    ) -> Iterator[Result | None]:
        """What comes of the jobs; see `PoolRun.outcomes`."""
        for outcome in self.outcomes(jobs, requested, most):
            if outcome is None:
                yield None
            elif isinstance(outcome, Refused):
                yield from self._order.settled(outcome)
            else:
                job, stream = outcome.job, outcome.stream
                answered = Answered(job, stream.reply, logprobs(job, stream))
                yield from self._order.settled(answered)

    def asked(self, job: Job) -> tuple[Sequence[Message], Settings]:
        """What a line asks, and how."""
        return job.item.messages, job.settings

    def start(self, job: Job) -> ReplyStream:
        """Open the stream of a job's reply."""
        self._order.note(job)
        return opened(self.backend, job)

    @property
    def may_start(self) -> bool:
        """Whether not too many replies are held back for one that is missing."""
        return not self._order.full
