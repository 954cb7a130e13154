"""One sequence: its tokens, its slot in the cache, and who takes what it generates."""

from __future__ import annotations

from array import array
from collections.abc import Sequence as Tokens
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from minireason.errors import EngineError


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a sequence after a sampled token: the last `drop` tokens go, and those to `append` come.

    `append` holds at least one token, but where the sequence is `done`, which ends it here.
    """

    append: Tokens[int]
    drop: int = 0
    done: bool = False


END = Step((), done=True)


class Sink(Protocol):
    """What stands above the engine and decides about each token; all of it is called under the scheduler's lock."""

    @property
    def full(self) -> bool:
        """Whether nobody fetches what was generated, so that the sequence should sit out."""
        ...

    def take(self, token: int, draw: int) -> Step:
        """What becomes of the sequence after the sampled token number `draw`, from 0 on.

        Called again with the same number, after an interruption here or later on, it gives the same answer and counts once.
        """
        ...

    def keeps(self, n_ctx: int) -> int:
        """Tokens of a context of `n_ctx` that have to stay free now for the sequence to come to a good end."""
        ...

    def limited_to(self, n_ctx: int) -> None:
        """There is no memory for a larger context than this, which is less than was promised; may be told more than once."""
        ...

    def out_of_room(self) -> None:
        """The context is full; the sequence has ended."""
        ...

    def failed(self, error: EngineError) -> None:
        """The sequence has ended without coming to its end, and this says why."""
        ...


class Draw(NamedTuple):
    """What was so when token number `number` was drawn: the length of the sequence and of its confidences, and the next of these."""

    number: int
    tokens: int
    confidences: int
    confidence: float


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
        """How many of the prompt were in the cache before the sequence came, and were used."""
        self.only_read = False
        self.passing = False
        self.sampler, self.sink = sampler, sink
        self.slot: Slot | None = None
        self.confidences: array[float] | None = None
        """One value a sampled token, see `engine.confidence`; None: not wanted."""
        self.draws = 0
        """How many tokens were sampled and taken."""
        self.drawn = Draw(-1, 0, 0, 0.0)

    @property
    def decoded(self) -> int:
        """How many of the tokens are in the cache."""
        return len(self.slot.cached) if self.slot else 0

    def apply(self, step: Step) -> None:
        """Let a step become part of the sequence; being called again with it changes nothing."""
        drawn, noted = self.drawn, self.confidences
        if noted is not None:
            if step.drop:
                del noted[drawn.confidences + 1 - step.drop :]
            else:
                noted[drawn.confidences :] = array("f", [drawn.confidence])
        if not step.done:
            self.tokens[drawn.tokens - step.drop :] = step.append
            self.draws = drawn.number + 1


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
