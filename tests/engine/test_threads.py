"""The governor of threads on made-up machines, by their own clocks."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.engine.threads import ThreadGovernor


def slower(threads: int, shared: int) -> float:
    """How many times as long a step takes where some of its threads share a core.

    One thread has half of the core. Several wait until all of them have run: four times as long
    were measured with one of two shared, and 25 times with both.
    """
    if not shared:
        return 1.0
    return 2.0 if threads == 1 else min(40.0, 4.0 * 2.0 ** (shared - 1))


@dataclass
class Machine:
    """Cores of which other programs keep some busy, one thread each.

    A step is `work_s` on one thread; `alone_s` of it cannot be shared. `spins`: threads that wait
    use their core.
    """

    cores: int
    busy: int = 0
    work_s: float = 0.02
    alone_s: float = 0.0005
    noise: float = 0.0
    spins: bool = True
    in_container: bool = False
    now: float = 100.0
    cpu: float = 0.0
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def step_s(self, threads: int, tokens: int = 1) -> float:
        """What a step takes on so many threads, without noise."""
        shared = max(0, threads - (self.cores - self.busy))
        work_s = self.work_s * (1 + (tokens - 1) / 4)
        return (work_s / threads + self.alone_s) * slower(threads, shared)

    def step(self, threads: int, tokens: int = 1) -> None:
        shared = max(0, threads - (self.cores - self.busy))
        took = self.step_s(threads, tokens) * (1 + self.random.uniform(-self.noise, self.noise))
        self.now += took
        share = 1.0 if self.spins else 0.5
        self.cpu += took * (1 + (threads - 1) * share - shared / 2 * share)

    def best_s(self, tokens: int = 1) -> float:
        return min(self.step_s(threads, tokens) for threads in range(1, self.cores + 1))


class Run:
    """A governor on a machine, and the threads of each step with their time."""

    def __init__(self, machine: Machine, most: int | None = None) -> None:
        self.machine = machine
        self.governor = ThreadGovernor(
            most or machine.cores,
            wall=lambda: machine.now,
            cpu=lambda: machine.cpu,
            idle_cores=self.idle_cores,
        )
        self.steps: list[tuple[float, int]] = []
        self.kept: list[tuple[float, int]] = [(machine.now, self.governor.threads)]

    def idle_cores(self) -> int | None:
        """Known on every second machine, and wrong in a container."""
        if self.machine.in_container:
            return -3
        if self.machine.cores % 2:
            return None
        running = self.governor.threads if self.steps else 1
        return self.machine.cores - self.machine.busy - running

    def go(self, seconds: float, tokens: Callable[[], int] = lambda: 1) -> None:
        until = self.machine.now + seconds
        while self.machine.now < until:
            threads = self.governor.begin()
            size = tokens()
            self.machine.step(threads, size)
            self.governor.end(size)
            self.steps.append((self.machine.now, threads))
            if self.governor.threads != self.kept[-1][1]:
                self.kept.append((self.machine.now, self.governor.threads))


MACHINES = st.builds(
    Machine,
    cores=st.integers(2, 32),
    work_s=st.floats(0.02, 0.5),
    noise=st.floats(0, 0.05),
    random=st.integers(0, 99).map(random.Random),
)


@given(machine=MACHINES, share=st.floats(0, 1), tokens=st.sampled_from([1, 8, 100]))
@settings(max_examples=60)
def test_a_constant_load_is_met_and_kept(machine: Machine, share: float, tokens: int) -> None:
    """One core is free at least; where none is, the model of `slower` knows too little."""
    machine.busy = round(share * (machine.cores - 1))
    machine.work_s /= 1 + (tokens - 1) / 4
    run = Run(machine)
    run.go(8, lambda: tokens)
    assert all(1 <= threads <= machine.cores for _, threads in run.steps)
    best = machine.best_s(tokens)
    kept = machine.step_s(run.governor.threads, tokens)
    assert kept <= 1.2 * best
    before = len(run.kept)
    run.go(60, lambda: tokens)
    assert len(run.kept) - before <= 4, "it oscillates"
    assert machine.step_s(run.governor.threads, tokens) <= 1.2 * best
    taken = sum(1 for at, _ in run.steps if at > machine.now - 60)
    assert 60 / taken <= 1.35 * best


@given(machine=MACHINES, before=st.floats(0, 1), after=st.floats(0, 1))
@settings(max_examples=60)
def test_a_change_of_load_is_answered_within_two_seconds(
    machine: Machine, before: float, after: float
) -> None:
    """Within four where the system does not tell its idle cores."""
    machine.work_s = min(machine.work_s, 0.1)
    machine.busy = round(before * (machine.cores - 1))
    run = Run(machine)
    run.go(20)
    machine.busy = round(after * (machine.cores - 1))
    run.go(4 if run.idle_cores() is None else 2)
    assert machine.step_s(run.governor.threads) <= 1.35 * machine.best_s()


@pytest.mark.parametrize("tokens", [1, 512])
def test_a_quiet_machine_never_has_fewer(tokens: int) -> None:
    run = Run(Machine(cores=4, noise=0.1, work_s=0.02 if tokens == 1 else 0.002))
    run.go(300, lambda: tokens)
    assert {threads for _, threads in run.steps} == {4}


def test_batches_of_many_sizes() -> None:
    """As with drafts or chains that end: what a step takes says nothing by itself."""
    sizes = random.Random(2)
    run = Run(Machine(cores=2, busy=1, noise=0.05))
    run.go(2, lambda: sizes.choice([1, 2, 3, 5, 8]))
    assert run.governor.threads == 1
    run.machine.busy = 0
    run.go(2, lambda: sizes.choice([1, 2, 3, 5, 8]))
    assert run.governor.threads == 2


def test_the_first_step_takes_idle_cores_and_so_does_one_after_a_pause() -> None:
    run = Run(Machine(cores=4, busy=1))
    run.go(0.01)
    assert run.steps[0][1] == 3
    run.steps.clear()
    run.machine.busy = 3
    run.machine.now += 60
    run.go(0.01)
    assert run.steps[0][1] == 1


def test_where_all_cores_of_a_larger_machine_are_counted() -> None:
    run = Run(Machine(cores=4, busy=2, in_container=True))
    run.go(10)
    assert run.governor.threads == 2
    run.machine.busy = 0
    run.go(25)
    assert run.governor.threads == 4


def test_threads_that_sleep_while_they_wait_are_no_load() -> None:
    """With OMP_WAIT_POLICY=passive the processor time says nothing; the time of steps does."""
    run = Run(Machine(cores=4, spins=False, noise=0.02))
    run.go(60)
    assert run.governor.threads == 4
    assert sum(threads == 4 for _, threads in run.steps) > 0.97 * len(run.steps)
    run.machine.busy = 2
    run.go(2)
    assert run.governor.threads == 2


class Pair:
    """Two processes with a model each on one machine, step by step."""

    def __init__(self, cores: int, work_s: float) -> None:
        self.cores, self.work_s = cores, work_s
        self.random = random.Random(3)
        self.now = [100.0, 100.0]
        self.cpu = [0.0, 0.0]
        self.governors = [
            ThreadGovernor(
                cores, wall=self._wall(which), cpu=self._cpu(which), idle_cores=self._idle_cores
            )
            for which in range(2)
        ]
        self.threads = [cores, cores]

    def _idle_cores(self) -> int:
        return self.cores - sum(self.threads)

    def _wall(self, which: int) -> Callable[[], float]:
        return lambda: self.now[which]

    def _cpu(self, which: int) -> Callable[[], float]:
        return lambda: self.cpu[which]

    def step(self) -> None:
        """The process that is behind makes a step beside what the other one runs."""
        which = 0 if self.now[0] <= self.now[1] else 1
        governor = self.governors[which]
        self.threads[which] = threads = governor.begin()
        shared = max(0, threads - (self.cores - self.threads[1 - which]))
        took = self.work_s / threads * slower(threads, shared) * self.random.uniform(0.97, 1.03)
        self.now[which] += took
        self.cpu[which] += took * (threads - min(shared, threads) / 2)
        governor.end(1)


@pytest.mark.parametrize(("cores", "work_s"), [(2, 0.014), (2, 0.3), (8, 0.05), (16, 0.1)])
def test_two_that_adapt_do_not_fight(cores: int, work_s: float) -> None:
    pair = Pair(cores, work_s)
    kept: list[tuple[int, ...]] = []
    while max(pair.now) < 160:
        pair.step()
        now = tuple(governor.threads for governor in pair.governors)
        if min(pair.now) > 110:
            kept.append(now)
    sums = [sum(pair) for pair in kept]
    assert max(sums) <= cores
    assert min(sums) >= cores / 2
    changes = sum(1 for one, two in itertools.pairwise(kept) if one != two)
    assert changes <= 6


def test_a_fixed_number_stays() -> None:
    governor = ThreadGovernor(4, adapts=False, wall=lambda: 0.0, cpu=lambda: 0.0)
    for _ in range(100):
        assert governor.begin() == 4
        governor.end(1)
