"""How far a mean over items can be trusted: 95% intervals.

The items are what was drawn, not the chains: chains of one item stand or fall together, so whole
items are resampled (a cluster bootstrap; Miller, "Adding Error Bars to Evals", arXiv 2411.00640,
says why). Where every item is simply right or wrong, Wilson's score interval is better
(E. B. Wilson, JASA 22, 1927; recommended by Brown, Cai and DasGupta, Statistical Science 16, 2001).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEVEL = 0.95
RESAMPLES = 4_000
_Z = 1.959963984540054
_CHUNK = 250


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over items and its interval."""

    value: float
    low: float
    high: float
    method: Literal["wilson", "bootstrap"]


def share(values: Sequence[float]) -> Estimate:
    """The mean of values from 0 to 1, one an item; needs at least one.

    Wilson's interval if each is 0 or 1, and where all are the same, of which a bootstrap would
    conclude that it can't be otherwise (a value between 0 and 1 varies less than Wilson assumes, so
    that the interval is then too wide rather than too narrow).
    """
    value = sum(values) / len(values)
    if set(values) <= {0.0, 1.0} or min(values) == max(values):
        return wilson(value, len(values))
    return Estimate(value, *bootstrap(values), "bootstrap")


def wilson(value: float, count: int) -> Estimate:
    """Wilson's score interval for a share of `count` trials."""
    spread = _Z * math.sqrt(value * (1 - value) / count + _Z**2 / (4 * count**2))
    middle, width = value + _Z**2 / (2 * count), 1 + _Z**2 / count
    low, high = (middle - spread) / width, (middle + spread) / width
    return Estimate(value, max(0.0, low), min(1.0, high), "wilson")


def difference(values: Sequence[float], others: Sequence[float]) -> Estimate:
    """The mean of the differences of two values for each item, resampled in pairs."""
    paired = [one - other for one, other in zip(values, others, strict=True)]
    return Estimate(sum(paired) / len(paired), *bootstrap(paired), "bootstrap")


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """The percentile interval of the mean; the same resamples for every sequence of one length."""
    rng, given = np.random.default_rng(0), np.asarray(values)
    means = [
        given[rng.integers(0, len(given), (_CHUNK, len(given)))].mean(axis=1)
        for _ in range(RESAMPLES // _CHUNK)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
