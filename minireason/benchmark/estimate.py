"""Pure arithmetic: from what was measured to what has not been, yet or at all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from minireason.benchmark.report import Decode


def seconds_a_token(decode: Sequence[Decode], context_tokens: float) -> float:
    """Seconds that the next token takes after so much context: on the line between two rows.

    Beyond the last row it goes on as between the last two, but never falls; a row stands for the
    middle of its tokens. At least one row is needed.
    """
    points = [(row.context_tokens + row.tokens / 2, row.seconds / row.tokens) for row in decode]
    if context_tokens <= points[0][0] or len(points) == 1:
        return points[0][1]
    for (start, first), (end, second) in pairwise(points):
        if context_tokens <= end:
            return first + (second - first) * (context_tokens - start) / (end - start)
    (start, first), (end, second) = points[-2:]
    slope = max(0.0, (second - first) / (end - start))
    return second + slope * (context_tokens - end)


def thought_s(decode: Sequence[Decode], tokens: int) -> float:
    """Seconds that so many tokens take, one after the other and from an empty context on."""
    return sum(seconds_a_token(decode, context) for context in range(tokens))
