"""Run a batch on a Ray cluster (extra `ray`): Ray places the workers and says which are lost.

The driver reads the lines and writes the replies, as without Ray. Each worker is an actor with a
model of its own and has a bounded number of jobs. A job whose worker is lost goes to another one:
it is put back before its result is known, so that each reply comes once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import Any, Literal

from minireason.backends.concurrency import LOOKED_AT
from minireason.backends.pool import Refused
from minireason.batch.jobs import Job
from minireason.batch.local import Answered, Order, Result
from minireason.batch.share import ASKING_CORES, Share
from minireason.batch.worker import AHEAD, Outcome, Wanted, Worker
from minireason.errors import (
    ContextFull,
    EngineError,
    MinireasonError,
    UsageError,
    shortened,
)

MOST_TRIES = 5
"""A job with which so many workers were lost is left out."""

MOST_LOST = 3
"""So many losses for each worker without one reply in between end the run."""

_TURN_S = 0.1


@dataclass(slots=True, eq=False)
class _Actor:
    """A worker of the cluster, as the driver sees it."""

    handle: Any
    machine: str
    """The id of the one that it was put on, "" where Ray chose."""

    places: int = 0
    """How many replies it runs at a time; 0 until its model is loaded.

    So no job goes to one that Ray calls pending, which is there once the cluster has grown.
    """

    jobs: int = 0
    ended: bool = False
    """Whether it was lost, or given back."""

    @property
    def free(self) -> bool:
        return bool(self.places) and not self.ended and self.jobs < self.places + AHEAD


class _Free:
    """The workers with a free place, by how many jobs they have; each act takes the same time."""

    def __init__(self) -> None:
        self._by_jobs: dict[int, dict[_Actor, None]] = {}

    def fewest(self) -> _Actor | None:
        """A worker with the fewest jobs; None where no place is free."""
        jobs = min((jobs for jobs, actors in self._by_jobs.items() if actors), default=None)
        return None if jobs is None else next(iter(self._by_jobs[jobs]))

    def note(self, actor: _Actor, more: int = 0) -> None:
        """A worker has so many jobs more, or has been loaded or ended."""
        self._by_jobs.get(actor.jobs, {}).pop(actor, None)
        actor.jobs += more
        if actor.free:
            self._by_jobs.setdefault(actor.jobs, {})[actor] = None


class Runner:
    """Runs jobs on the cluster that was joined; for the caller the same as `local.Runner`."""

    def __init__(self, wanted: Wanted, share: Share, *, in_order: bool = False) -> None:
        import ray

        self._ray, self._wanted, self._share = ray, wanted, share
        self._order = Order(kept=in_order)
        self._jobs: Iterator[Job] = iter(())
        self._first: list[Job] = []
        self._again: deque[Job] = deque()
        self._read_all = self._cancelled = self.finished = False
        self._actors: list[_Actor] = []
        self._free = _Free()
        self._calls: dict[Any, tuple[_Actor, Job | None]] = {}
        self._tries: Counter[tuple[int, int]] = Counter()
        self._lost_in_a_row = 0
        self.tokens = 0

    @property
    def handles(self) -> list[Any]:
        """The actors that there are now."""
        return [actor.handle for actor in self._actors]

    def cancel(self) -> None:
        """Ask from any thread or a signal handler that the run end here."""
        self._cancelled = True

    def results(
        self,
        jobs: Iterator[Job],
        requested: int | Literal["auto"] = "auto",
        most: int | None = None,
    ) -> Iterator[Result | None]:
        """What comes of the jobs; see `local.Runner.results`.

        How many run at a time is said by `Wanted`. Raises EngineError, and what loading raised.
        """
        self._first = list(islice(jobs, LOOKED_AT))
        self._jobs = chain(self._first, jobs)
        try:
            actors = self._share.actors + self._share.further
            actors = actors if most is None else min(actors, most)
            for machine in islice(cycle(self._share.machines or ("",)), actors):
                self._start(machine)
            while not self._cancelled:
                self._feed()
                self._give_back()
                if self._read_all and not self._again and not self._answering:
                    self.finished = True
                    return
                for call in self._ended():
                    yield from self._settled(call)
                yield None
        finally:
            for actor in self._actors:
                self._ray.kill(actor.handle)
            self._calls.clear()

    @property
    def _answering(self) -> bool:
        return any(job for _, job in self._calls.values())

    def _start(self, machine: str) -> None:
        """Start a worker, wherever Ray finds room; it waits there where that is nowhere yet.

        With a `machine` it is put there, while there is one of that id.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {
            "num_cpus": self._share.cores or ASKING_CORES,
            "memory": self._share.memory_bytes,
            "max_concurrency": self._wanted.most_parallel + AHEAD + 1,
        }
        if self._share.gpus:
            options["num_gpus"] = self._share.gpus
        if machine:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(machine, soft=True)
        handle = self._ray.remote(Worker).options(**options).remote(self._wanted)
        actor = _Actor(handle, machine)
        self._actors.append(actor)
        self._calls[handle.load.remote(self._first)] = actor, None

    def _feed(self) -> None:
        """Give jobs to those that have the fewest, while there are free places."""
        while actor := self._free.fewest():
            job = self._next()
            if job is None:
                return
            self._free.note(actor, 1)
            self._calls[actor.handle.answer.remote(job)] = actor, job

    def _give_back(self) -> None:
        """End the workers for which nothing is left, also those that Ray has no room for yet."""
        if self._again or not self._read_all:
            return
        for actor in [actor for actor in self._actors if not actor.jobs]:
            self._end(actor)

    def _end(self, actor: _Actor) -> None:
        actor.ended = True
        self._free.note(actor)
        self._actors.remove(actor)
        self._ray.kill(actor.handle)

    def _next(self) -> Job | None:
        """A job that was lost, or else a new one; None if there is none now."""
        if self._again:
            return self._again.popleft()
        if self._order.full or self._read_all:
            return None
        job = next(self._jobs, None)
        if job is None:
            self._read_all = True
        else:
            self._order.note(job)
        return job

    def _ended(self) -> list[Any]:
        """The calls that ended by now, after a moment's wait for the first of them."""
        calls = list(self._calls)
        self._ray.wait(calls, timeout=_TURN_S)
        ended: list[Any] = self._ray.wait(calls, num_returns=len(calls), timeout=0)[0]
        return ended

    def _settled(self, call: Any) -> Iterator[Result]:
        """The results whose turn it is, now that a call ended."""
        from ray.exceptions import RayError, RayTaskError

        actor, job = self._calls.pop(call)
        self._free.note(actor, -1 if job else 0)
        try:
            value = self._ray.get(call)
        except RayTaskError as error:
            said = shortened(" ".join(str(error.cause).split()), 200)
            raise EngineError(f"A worker failed ({said}); look at Ray's logs.") from None
        except RayError as error:
            self._renew(actor, str(error))
            if job is not None:
                yield from self._again_or_not(job)
            return
        if job is None:
            self._loaded(actor, value)
            return
        self._lost_in_a_row = 0
        yield from self._order.settled(self._result(job, value))

    def _loaded(self, actor: _Actor, places: int | MinireasonError) -> None:
        """A worker is ready, or says why it cannot be."""
        if actor.ended:
            return
        if isinstance(places, MinireasonError):
            raise places
        actor.places = places
        self._free.note(actor)

    def _result(self, job: Job, outcome: Outcome) -> Result:
        self.tokens += outcome.tokens
        result = outcome.result
        if not isinstance(result, MinireasonError):
            return Answered(job, result, outcome.logprobs)
        if outcome.lost or isinstance(result, UsageError | ContextFull):
            return Refused(job, result)
        raise result

    def _renew(self, actor: _Actor, why: str) -> None:
        """Start another worker instead of one that was lost."""
        if actor.ended:
            return
        self._end(actor)  # where only its result was lost
        self._lost_in_a_row += 1
        if self._lost_in_a_row > MOST_LOST * self._share.actors:
            last = shortened(why.strip().splitlines()[-1].strip(" ."), 200)
            raise EngineError(
                f"{self._lost_in_a_row} workers were lost without one reply (of the last one Ray "
                f"says: {last}); mend that, and run the same command again."
            )
        self._start(actor.machine)

    def _again_or_not(self, job: Job) -> Iterator[Result]:
        """Let a job whose worker was lost run again, unless it may be what loses them."""
        name = job.item.number, job.sample
        self._tries[name] += 1
        if self._tries[name] < MOST_TRIES:
            self._again.append(job)
            return
        problem = EngineError(f"{MOST_TRIES} workers were lost with it; run it alone, without Ray.")
        yield from self._order.settled(Refused(job, problem))
