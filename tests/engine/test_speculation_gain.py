from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.engine.speculation_gain import ALLOWANCE, SpeculationGain, expected_tokens

SURE = [0.98] * 15
UNLIKELY = [0.3] * 15


class Machine:
    """Steps of a sequence on a machine where a step of `size` tokens takes `seconds(size)`."""

    def __init__(self, seconds: Callable[[int], float], right: float, seed: int = 1) -> None:
        self.gain = SpeculationGain()
        self.seconds, self.right = seconds, right
        self.random = random.Random(seed)
        self.spent_s, self.tokens = 0.0, 0
        self.sizes: list[int] = []

    def run(self, steps: int, chances: list[float]) -> None:
        for _ in range(steps):
            drafted = self.gain.best(chances, 15)
            tokens = 1
            while tokens <= drafted and self.random.random() < self.right:
                tokens += 1
            seconds = self.seconds(1 + drafted)
            self.gain.note(1 + drafted, seconds, tokens)
            self.spent_s += seconds
            self.tokens += tokens
            self.sizes.append(1 + drafted)

    @property
    def speedup(self) -> float:
        return self.tokens * self.seconds(1) / self.spent_s


def cheap(size: int) -> float:
    """As where decoding waits for memory."""
    return 0.025 * (1 + 0.1 * (size - 1))


def dear(size: int) -> float:
    """As where each further token costs as much as one alone."""
    return 0.025 * size


def test_where_further_tokens_are_cheap_and_the_draft_sure_it_drafts_long() -> None:
    machine = Machine(cheap, 0.98)
    machine.run(300, SURE)
    assert machine.speedup > 3
    assert max(machine.sizes) >= 16


def test_it_drafts_nothing_where_a_draft_is_unlikely() -> None:
    machine = Machine(cheap, 0.3)
    machine.run(300, [0.05] * 15)
    assert machine.sizes == [1] * 300


def test_it_measures_plain_steps_first_and_again_and_again() -> None:
    machine = Machine(cheap, 1.0)
    machine.run(400, SURE)
    assert machine.sizes[:3] == [1, 1, 1]
    assert machine.sizes[3] > 1
    assert sum(size == 1 for size in machine.sizes[200:]) in range(2, 6)


@pytest.mark.parametrize("chances", [SURE, UNLIKELY, [0.7] * 15])
@pytest.mark.parametrize("right", [0.0, 0.3, 0.98])
def test_where_it_does_not_gain_it_costs_next_to_nothing(
    chances: list[float], right: float
) -> None:
    """Even where every chance it is told is wrong."""
    machine = Machine(dear, right)
    machine.run(2000, chances)
    assert machine.speedup > 0.98


@settings(max_examples=30)
@given(st.floats(0.05, 1.2), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_it_never_costs_more_than_its_allowance(slope: float, right: float, told: float) -> None:
    machine = Machine(lambda size: 0.02 * (1 + slope * (size - 1)), right)
    machine.run(3000, [told] * 15)
    assert machine.speedup > 1 - 2 * ALLOWANCE


def test_one_slow_step_is_not_taken_for_the_usual() -> None:
    machine = Machine(cheap, 0.98)
    machine.run(100, SURE)
    size = max(machine.sizes)
    before = machine.gain.cost(size)
    machine.gain.note(size, 5.0, 1)
    assert machine.gain.cost(size) == pytest.approx(before)


def test_slow_plain_steps_do_not_make_longer_drafts_cost_less_than_nothing() -> None:
    gain = SpeculationGain()
    for size, seconds in [(1, 0.09), (1, 0.09), (1, 0.09), (2, 0.02)]:
        gain.note(size, seconds, size)
    assert all(gain.cost(size) > 1 for size in (4, 8, 16))
    assert gain.best(SURE, 15) > 3


def test_costs_measured_before_go_before_the_guess() -> None:
    gain = SpeculationGain({4: 3.9})
    for _ in range(3):
        gain.note(1, 0.02, 1)
    assert gain.cost(4) == 3.9
    assert gain.best([0.9] * 3, 3) == 0


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_expected_tokens_are_those_of_trying(chances: list[float]) -> None:
    draw, total, rounds = random.Random(3), 0, 4000
    for _ in range(rounds):
        total += 1
        for chance in chances:
            if draw.random() >= chance:
                break
            total += 1
    assert expected_tokens(chances) == pytest.approx(total / rounds, abs=0.25)
