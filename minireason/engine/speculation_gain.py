"""Whether drafting gains: what steps cost here, against how many tokens a draft would bring.

A step over a draft of k tokens decodes k + 1, and brings 1 + p1 + p1 p2 + ... tokens on average,
where p1, p2, ... are the chances that the first, the second, ... came true (Leviathan et al. 2023,
arXiv 2211.17192, section 3.3, with chances that differ). It gains where that is more than its cost
in plain steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from statistics import median

SIZES = (2, 4, 8, 16)
"""Tokens of a step over a draft: kernels on the CPU take four rows at a time."""

MOST_DRAFTED = SIZES[-1] - 1
"""No draft is longer."""

LEAST_GAIN = 1.05
"""A draft has to be expected to gain this much, since costs are known no better than that."""

ALLOWANCE = 0.01
"""Trials of what turns out not to gain may cost this share of all time, and two steps more."""

_FREE_STEPS = 2
_MOST_CREDIT_STEPS = 16
"""What drafting has gained pays for later trials up to so many plain steps."""

_TRUSTED = 3
"""From so many measured steps on, one that was slow for another reason does not count."""

STALE_STEPS = 1024
"""What was measured longer ago is tried again."""

_PLAIN_EVERY = 64
"""After so many drafted steps comes a plain one, so that what a plain one costs stays known."""

_PRIOR_COST = 0.3
"""What each further token of a step costs, in plain ones, before anything was measured.

A hopeful guess, as where decoding waits for memory, since a trial says more.
"""


_LEAST_SLOPE = 0.02
"""No further token is cheaper; plain steps that were slow for another reason make it seem so."""


class SpeculationGain:
    """Chooses how long the next draft is, from the time of steps of each size.

    `costs`: what steps of some sizes cost in plain ones, where that was measured before. `note` is
    told the time of every step of one sequence, its draft and its first sample included.
    """

    def __init__(self, costs: Mapping[int, float] | None = None) -> None:
        self._costs = dict(costs or {})
        self._times: dict[int, _StepTimes] = {}
        self._steps = 0
        self._total_s = self._credit_s = 0.0

    def best(self, chances: Sequence[float], most: int) -> int:
        """How many tokens to draft, at most `most`; 0: none.

        `chances` says of each drafted token how likely it is right if those before it are.
        """
        plain = self._times.get(1)
        if not chances or plain is None or len(plain.last) < _TRUSTED:
            return 0
        if self._steps - plain.step >= _PLAIN_EVERY:
            return 0
        best, most_gain = 0, LEAST_GAIN
        for size in SIZES:
            if size - 1 > min(most, len(chances)):
                break
            tokens = expected_tokens(chances[: size - 1])
            gain = tokens / self.cost(size)
            if gain > most_gain and self._affordable(size, tokens, plain.typical):
                best, most_gain = size - 1, gain
        return best

    def note(self, size: int, seconds: float, tokens: int) -> None:
        """Note that a step of `size` tokens took so long and brought so many `tokens`."""
        self._steps += 1
        self._total_s += seconds
        if size > 1 and 1 in self._times:
            plain_s = self._times[1].typical
            credit_s = self._credit_s + tokens * plain_s - seconds
            self._credit_s = min(credit_s, _MOST_CREDIT_STEPS * plain_s)
        if not self._known(size):
            self._times[size] = _StepTimes()
        self._times[size].note(self._steps, seconds)

    def cost(self, size: int) -> float:
        """What a step of so many tokens costs in plain ones.

        As measured, else as the largest size that was measured lets expect, else as guessed.
        """
        known = [other for other in SIZES if self._known(other)]
        if size in known:
            return self._measured(size)
        if size in self._costs:
            return self._costs[size]
        slope = _PRIOR_COST
        if known:
            slope = (self._measured(known[-1]) - 1) / (known[-1] - 1)
        elif self._costs:
            largest = max(self._costs)
            slope = (self._costs[largest] - 1) / (largest - 1)
        return 1 + max(slope, _LEAST_SLOPE) * (size - 1)

    def _measured(self, size: int) -> float:
        return self._times[size].typical / self._times[1].typical

    def _known(self, size: int) -> bool:
        times = self._times.get(size)
        return times is not None and self._steps - times.step <= STALE_STEPS

    def _affordable(self, size: int, tokens: float, plain_s: float) -> bool:
        """Whether a step may be made that gains nothing should what is expected be wrong.

        One of a size that was not measured may cost as much as that many plain ones.
        """
        measured = self._known(size) and len(self._times[size].last) >= _TRUSTED
        loss_s = 0.0 if measured else (size - tokens) * plain_s
        return self._credit_s - loss_s >= -ALLOWANCE * self._total_s - _FREE_STEPS * plain_s


class _StepTimes:
    """The last times of steps of one size; `step` is the number of the last of them."""

    def __init__(self) -> None:
        self.last: deque[float] = deque(maxlen=9)
        self.typical = 0.0
        self.step = 0

    def note(self, step: int, seconds: float) -> None:
        """Note one more."""
        self.step = step
        self.last.append(seconds)
        few = len(self.last) < _TRUSTED
        self.typical = min(self.last) if few else median(self.last)


def expected_tokens(chances: Sequence[float]) -> float:
    """How many tokens a step brings on average, the one that follows the accepted ones included."""
    tokens = together = 1.0
    for chance in chances:
        together *= chance
        tokens += together
    return tokens
