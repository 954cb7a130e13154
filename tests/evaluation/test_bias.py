"""Stopping early has no preference for short chains: simulated votes, see bench/vote_bias.py."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import fmean
from types import ModuleType

import pytest


def test_half_as_long_wrong_chains_take_no_vote(vote_bias: ModuleType) -> None:
    """The cell in which looking at all that has ended took the accuracy from .65 to .13."""
    cell = vote_bias.Cell(samples=32, parallel=32, length=0.5, wrong=1, accuracy=0.6)
    for result in vote_bias.measure(cell, questions=200):
        assert abs(result.difference) <= 0.02, result.rule


def test_the_table_says_the_worst_of_a_row(vote_bias: ModuleType) -> None:
    cells = [
        vote_bias.Cell(samples=8, parallel=4, length=length, wrong=1, accuracy=0.6)
        for length in vote_bias.LENGTHS
    ]
    results = [
        vote_bias.Result(cell, "beta", difference, 0.5)
        for cell in cells
        for difference in (0.01, -0.02, 0.0)
    ]
    row = vote_bias.table(results).splitlines()[-1]
    assert row == "| beta | 8 | 4 | -2.00 | -2.00 | -2.00 | 50% |"


@pytest.mark.slow
def test_beta_is_within_a_point_of_the_full_vote(vote_bias: ModuleType) -> None:
    """And what it saves: it takes more than 80% of the tokens at 16 chains.

    See docs/measurements.md.
    """
    work = partial(vote_bias.measure, questions=2_000, rules=("beta",))
    with ProcessPoolExecutor() as pool:
        results = [result for cell in pool.map(work, vote_bias.cells()) for result in cell]
    assert len(results) == 288
    off = [result for result in results if abs(result.difference) > 0.01]
    assert not off
    halves = [r.share for r in results if r.cell.length == 1 and r.cell.samples == 16]
    assert fmean(halves) < 0.9
