"""What slots held, saved in memory outside the KV cache, to be brought back."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.engine.base import SavedState
from minireason.engine.sequence import common_prefix

PARK_TOKENS = 32
"""Fewer tokens are read again as soon as they are brought back."""


@dataclass(frozen=True, slots=True)
class Parked:
    """What a slot held; see `Slot`."""

    cached: list[int]
    prompt_tokens: int
    scope: str
    state: SavedState
    owner = None


class Parking:
    """All that is parked, the oldest first in `prompts`."""

    def __init__(self) -> None:
        self.prompts: list[Parked] = []

    @property
    def tokens(self) -> int:
        """Tokens of all that is parked."""
        return sum(len(parked.cached) for parked in self.prompts)

    def evict(self, tokens: int, free: int) -> bool:
        """Evict the oldest until `tokens` more are within `free`; False if they never are."""
        while self.prompts and self.tokens + tokens > free:
            del self.prompts[0]
        return tokens <= free

    def add(self, parked: Parked) -> None:
        """Park this, instead of what it begins with in its scope."""
        others = [
            each
            for each in self.prompts
            if each.scope != parked.scope or not begins(parked.cached, each.cached)
        ]
        self.prompts = [*others, parked]

    def forget(self, parked: Parked) -> None:
        """Let go of this, if it is still there."""
        if parked in self.prompts:
            self.prompts.remove(parked)


def begins(tokens: list[int], prefix: list[int]) -> bool:
    """Whether tokens begin with others."""
    return common_prefix(tokens, prefix) == len(prefix)
