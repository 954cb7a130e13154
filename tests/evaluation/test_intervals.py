"""Golden values, and that intervals hold what they promise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.evaluation.intervals import bootstrap, difference, share, wilson


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
        (15, 30, 0.3315, 0.6685),
        (250, 1000, 0.2242, 0.2778),
    ],
)
def test_wilson_golden_values(right: int, count: int, low: float, high: float) -> None:
    estimate = wilson(right / count, count)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_an_interval_is_around_its_mean_and_within_what_is_possible(values: list[float]) -> None:
    estimate = share(values)
    assert 0 <= estimate.low <= estimate.value + 1e-9
    assert estimate.value - 1e-9 <= estimate.high <= 1
    assert estimate.high > estimate.low, "no number of items makes it certain"


def test_the_method_is_said() -> None:
    assert share([0.0, 1.0, 1.0]).method == "wilson"
    assert share([1.0, 1.0]).method == "wilson"
    assert share([0.5, 0.5, 0.5]).method == "wilson"
    assert share([0.25, 1.0, 0.75]).method == "bootstrap"


def test_items_are_resampled_and_not_chains() -> None:
    """Eight chains of an item that all do the same are worth one."""
    items = [float(index % 2) for index in range(100)]
    low, high = bootstrap(items)
    assert (low, high) == pytest.approx((0.4, 0.6), abs=0.011)


@pytest.mark.parametrize("items", [30, 200])
def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says(items: int) -> None:
    """Items of all difficulties, eight chains each.

    A percentile interval of few items is a little too narrow.
    """
    rng, runs = random.Random(1), 150
    hits = 0
    for _ in range(runs):
        rates = [rng.betavariate(1, 2) for _ in range(items)]
        low, high = bootstrap([sum(rng.random() < rate for _ in range(8)) / 8 for rate in rates])
        hits += low <= 1 / 3 <= high
    assert 0.88 <= hits / runs <= 0.99


def test_differences_are_paired() -> None:
    values = [random.Random(2).random() for _ in range(50)]
    same = difference(values, values)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    apart = difference([value + 0.1 for value in values], values)
    assert (apart.value, apart.low, apart.high) == pytest.approx((0.1, 0.1, 0.1)), (
        "what both have in common cancels out"
    )
    assert difference([0, 0, 1], [1, 0, 1]).value == pytest.approx(-1 / 3)
