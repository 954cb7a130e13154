"""A thousand workers and millions of items on paper: the real driver of `batch --ray`, no cluster.

    python bench/many_workers.py --workers 1000 --items 10000000

The driver's own code runs (`batch/ray.py`: which worker gets which item, what is lost, what runs
again); Ray and the workers are simulated, in a time that jumps to the next thing that happens.
Replies take as long as log-normal lengths say, workers fail at random and load their model again.
Printed: how long the run takes, what was done twice, and what the driver costs for each item in
processor time and memory. What Ray itself costs is measured by `bench/batch.py`, and is not in it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import resource
import sys
import time
import types
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DAY_S = 86_400.0
LOAD_S = 60.0
"""Until a worker that was started has its model."""

TURN_S = 0.04
"""How long Ray takes to look through 16,000 calls (measured); what ends meanwhile is found too."""

SPREAD = 0.6
"""Of the logarithm of lengths of replies."""


class RayError(Exception):
    """What Ray raises for a call whose worker was lost."""


class RayTaskError(RayError):
    """What Ray raises for an error of the worker's code; there is none here."""


@dataclass(eq=False, slots=True)
class Handle:
    """A worker; `lost` as soon as it failed or was given back."""

    cluster: Cluster
    calls: set[Call] = field(default_factory=set)
    waiting: deque[Call] = field(default_factory=deque)
    lost: bool = False

    @property
    def load(self) -> Method:
        return Method(self, loads=True)

    @property
    def answer(self) -> Method:
        return Method(self, loads=False)


@dataclass(slots=True)
class Method:
    """A method of a worker, as Ray shows it."""

    handle: Handle
    loads: bool

    def remote(self, _argument: Any) -> Call:
        return self.handle.cluster.call(self.handle, loads=self.loads)


@dataclass(eq=False, slots=True)
class Call:
    """A call under way, or ended."""

    handle: Handle
    loads: bool
    lost: bool = False


class Cluster:
    """Stands for the module `ray`; time jumps from one event to the next."""

    def __init__(self, places: int, reply_s: float, mean_life_s: float, seed: int) -> None:
        self.now = 0.0
        self.failures = self.lost_calls = 0
        self._places, self._reply_s, self._mean_life_s = places, reply_s, mean_life_s
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Handle | Call]] = []
        self._count = 0
        self._ended: dict[Call, None] = {}

    def remote(self, _worker: Any) -> Cluster:
        return self

    def options(self, **_options: Any) -> Started:
        return Started(self)

    def start(self) -> Handle:
        handle = Handle(self)
        self._at(self._random.expovariate(1 / self._mean_life_s), handle)
        return handle

    def call(self, handle: Handle, *, loads: bool) -> Call:
        call = Call(handle, loads)
        if handle.lost:
            self._end(call, lost=True)
            return call
        if len(handle.calls) < self._places:
            self._run(call)
        else:
            handle.waiting.append(call)
        return call

    def _run(self, call: Call) -> None:
        """Let a worker begin with a call."""
        call.handle.calls.add(call)
        mean = LOAD_S if call.loads else self._reply_s
        self._at(mean * self._random.lognormvariate(-(SPREAD**2) / 2, SPREAD), call)

    def wait(
        self, calls: list[Call], num_returns: int = 1, timeout: float = 0.0
    ) -> tuple[list[Call], list[Call]]:
        if timeout:
            while not self._ended and self._events:
                self._next()
            until = self.now + TURN_S
            while self._events and self._events[0][0] <= until:
                self._next()
            self.now = until
        return list(self._ended), []

    def get(self, call: Call) -> Any:
        from minireason.batch.worker import Outcome

        self._ended.pop(call, None)
        if call.lost:
            raise RayError("the worker failed")
        return self._places if call.loads else Outcome(REPLY, 1)

    def kill(self, handle: Handle) -> None:
        handle.lost = True

    def _at(self, seconds: float, what: Handle | Call) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.now + seconds, self._count, what))

    def _next(self) -> None:
        """Let the next thing happen: a worker fails, or a call ends."""
        self.now, _, what = heapq.heappop(self._events)
        if isinstance(what, Call):
            if what in what.handle.calls:
                what.handle.calls.remove(what)
                self._end(what, lost=False)
                if what.handle.waiting:
                    self._run(what.handle.waiting.popleft())
            return
        if what.lost:
            return
        what.lost = True
        self.failures += 1
        self.lost_calls += sum(not call.loads for call in what.calls)
        for call in (*what.calls, *what.waiting):
            self._end(call, lost=True)
        what.calls.clear()
        what.waiting.clear()

    def _end(self, call: Call, *, lost: bool) -> None:
        call.lost = lost
        self._ended[call] = None


@dataclass(slots=True)
class Started:
    """A kind of worker, ready to be started."""

    cluster: Cluster

    def remote(self, _wanted: Any) -> Handle:
        return self.cluster.start()


REPLY: Any = None
"""Stands for every reply; the driver only hands it on."""


def _install(cluster: Cluster) -> None:
    """Let `import ray` find the simulated one."""
    module = types.ModuleType("ray")
    for name in ("remote", "wait", "get", "kill"):
        setattr(module, name, getattr(cluster, name))
    exceptions = types.ModuleType("ray.exceptions")
    vars(exceptions).update(RayError=RayError, RayTaskError=RayTaskError)
    strategies = types.ModuleType("ray.util.scheduling_strategies")
    vars(strategies).update(NodeAffinitySchedulingStrategy=None)
    for one in (module, exceptions, strategies, types.ModuleType("ray.util")):
        sys.modules[one.__name__] = one


def _jobs(count: int) -> Iterator[Any]:
    """So many items, as read from a file."""
    from minireason.batch.jobs import Item, Job
    from minireason.settings import Settings

    settings = Settings(seed=1)
    for number in range(1, count + 1):
        message = {"role": "user", "content": f"What is {number} + {3 * number}?"}
        yield Job(Item(number, number, (message,), settings), 0, settings)  # type: ignore[arg-type]


def _reply() -> Any:
    """A short reply."""
    from minireason.events import Reply, Timings, Usage

    return Reply(
        model="tiny",
        thinking="2 + 2 = 4",
        answer="4",
        boxed=None,
        finish_reason="stop",
        thinking_end="natural",
        seed=1,
        usage=Usage(8, 0, 8, 1, 0),
        timings=Timings(0.0, 0.0, 0.0, 0.0, 0.0, None),
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run it, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--places", type=int, default=16, help="replies at a time of a worker")
    parser.add_argument("--reply-s", type=float, default=60.0, help="mean seconds of a reply")
    parser.add_argument("--failures-a-day", type=float, default=1.0, help="of each worker")
    args = parser.parse_args()

    cluster = Cluster(args.places, args.reply_s, DAY_S / args.failures_a_day, seed=0)
    _install(cluster)
    global REPLY
    from minireason.batch.local import Answered
    from minireason.batch.ray import Runner
    from minireason.batch.share import Share
    from minireason.batch.worker import Wanted
    from minireason.settings import Settings

    REPLY = _reply()
    wanted = Wanted("tiny", "", {}, Settings(), "auto", 0)
    runner = Runner(wanted, Share(args.workers, 1, 0))
    before_mib, began_s = _peak_mib(), time.process_time()
    replies = bytearray(args.items + 1)
    for result in runner.results(_jobs(args.items)):
        if isinstance(result, Answered):
            replies[result.job.item.number] += 1
    cpu_s = time.process_time() - began_s
    row = {
        "items": args.items,
        "lost": replies.count(0) - 1,
        "twice": sum(1 for number in replies if number > 1),
        "hours": round(cluster.now / 3600, 2),
        "failures": cluster.failures,
        "begun again": cluster.lost_calls,
        "cpu_us_an_item": round(cpu_s / args.items * 1e6, 1),
        "peak_mib": round(_peak_mib()),
        "before_mib": round(before_mib),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
