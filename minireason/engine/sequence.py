"""One sequence: its tokens, its slot in the cache, and who takes what it generates."""

from __future__ import annotations

from array import array
from typing import Any, Protocol

from minireason.errors import EngineError


class Sink(Protocol):
    """What stands above the engine and decides about each token."""

    @property
    def full(self) -> bool:
        """Whether nobody fetches what was generated, so that the sequence should sit out."""
        ...

    def take(self, token: int) -> list[int]:
        """What goes into the sequence for a sampled token: itself, itself and forced ones, or nothing to end it here."""
        ...

    def keeps(self, n_ctx: int) -> int:
        """Tokens of a context of `n_ctx` that have to stay free now for the sequence to come to a good end."""
        ...

    def limited_to(self, n_ctx: int) -> None:
        """There is no memory for a larger context than this, which is less than was promised."""
        ...

    def out_of_room(self) -> None:
        """The context is full; the sequence has ended."""
        ...

    def failed(self, error: EngineError) -> None:
        """The sequence has ended with this error, which is for whoever reads it; others go on."""
        ...


class Sequence:
    """Tokens that grow. Whatever is not in the cache yet is pending, be it prompt, forced or sampled.

    One that is `only_read` generates nothing, and ends when all tokens but the last are in the cache. Of one that is `passing`
    only the prompt stays in the cache when it has ended: nobody will go on from it, and all others attend past its tokens.
    """

    def __init__(self, prompt: list[int], sampler: Any, sink: Sink) -> None:
        if not prompt:
            raise ValueError("a prompt has at least one token")
        self.tokens = list(prompt)
        self.prompt_tokens = len(prompt)
        self.cached_tokens = 0
        self.only_read = False
        self.passing = False
        self.sampler, self.sink = sampler, sink
        self.slot: Slot | None = None
        self.confidences: array[float] | None = None
        """One value a sampled token, see `engine.confidence`; None: not wanted."""

    @property
    def decoded(self) -> int:
        """How many of the tokens are in the cache."""
        return len(self.slot.cached) if self.slot else 0


class Slot:
    """A row of the cache: the tokens in it, and the sequence that uses it (None: kept for whoever starts the same)."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.cached: list[int] = []
        self.prompt_tokens = 0
        self.owner: Sequence | None = None
        self.last_used = 0


def common_prefix(first: list[int], second: list[int]) -> int:
    """How many leading tokens are the same."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
