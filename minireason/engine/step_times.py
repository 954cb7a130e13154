"""What steps take, by the size of their batch."""

from __future__ import annotations

from dataclasses import dataclass, field

_FRESH_S = 2.0
"""What was known longer ago may have been of another depth."""

_EXACT_TOKENS = 32


@dataclass(slots=True)
class StepWindow:
    """Steps on one number of threads."""

    steps: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    compared_s: float = 0.0
    """Seconds of those steps of which it is known what they took before."""
    expected_s: float = 0.0
    """What those took before."""
    costs: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Batch size -> seconds and tokens."""

    def add(self, tokens: int, wall_s: float, cpu_s: float, expected_s: float | None) -> None:
        """Note a step for so many tokens, and what it was expected to take."""
        self.steps += 1
        self.wall_s += wall_s
        self.cpu_s += cpu_s
        if expected_s is not None:
            self.compared_s += wall_s
            self.expected_s += expected_s
        seconds, count = self.costs.get(_size(tokens), (0.0, 0))
        self.costs[_size(tokens)] = seconds + wall_s, count + tokens

    @property
    def ratio(self) -> float | None:
        """How many times as long as before it took; None if too little can be compared."""
        if not self.expected_s or self.compared_s < self.wall_s / 2:
            return None
        return self.compared_s / self.expected_s

    def lost(self, threads: int) -> float:
        """Threads' worth of processor time that it missed."""
        return max(0.0, threads - self.cpu_s / self.wall_s)


def _size(tokens: int) -> int:
    """Batches of one size cost the same; large ones are taken together by powers of two."""
    if tokens <= _EXACT_TOKENS:
        return tokens
    return _EXACT_TOKENS + tokens.bit_length()


class StepTimes:
    """Seconds for each token, by the size of the batch, as far as they are known and recent."""

    def __init__(self) -> None:
        self._costs: dict[int, tuple[float, float]] = {}

    def expected(self, tokens: int, wall_s: float, now: float) -> float | None:
        """What such a batch takes; None if there was none lately."""
        known = self._costs.get(_size(tokens))
        if known is None:
            return None
        cost, at = known
        if now - at > max(_FRESH_S, 4 * wall_s):
            return None
        return cost * tokens

    def learn(self, window: StepWindow, now: float, weight: float = 1.0) -> None:
        """Take in the steps of a window, by this weight where more is known already."""
        for size, (seconds, tokens) in window.costs.items():
            cost = seconds / tokens
            known = self._costs.get(size)
            if known is not None and now - known[1] <= _FRESH_S:
                cost = known[0] + weight * (cost - known[0])
            self._costs[size] = cost, now
