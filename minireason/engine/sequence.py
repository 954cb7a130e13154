"""One sequence: its tokens, its slot in the cache, and who takes what it generates."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from minireason.engine.base import Drafter, Mask, Sampler, Step, TokenHandler
from minireason.engine.drafting import DraftCount
from minireason.engine.logprobs import RawLogits


class Draw(NamedTuple):
    """What was so when token number `number` was drawn.

    That is the length of the sequence and of its confidences, and the next of these.
    """

    number: int
    tokens: int
    confidences: int
    confidence: float


class Sequence:
    """Tokens that grow. Whatever is not cached yet is pending, be it prompt, forced or sampled.

    `cache_reply`: keep the reply in the cache when the sequence has ended; False keeps the prompt
    alone, since nobody will go on from the reply and all others would attend past its tokens.
    `cache_scope`: only what was cached in the same scope is used, and only it may use this.
    `mask` says which tokens may be sampled first; that of each later one comes with its step.
    `unread_limit`: sit out after so many tokens that nobody has read; None: nobody needs to.
    """

    prefill_only = False

    def __init__(
        self,
        prompt: list[int],
        sampler: Sampler,
        handler: TokenHandler,
        *,
        cache_reply: bool = True,
        cache_scope: str = "",
        mask: Mask | None = None,
        unread_limit: int | None = None,
    ) -> None:
        if not prompt:
            raise ValueError("a prompt has at least one token")
        self.tokens = list(prompt)
        self.prompt_tokens = len(prompt)
        self.cached_tokens = 0
        """How many of the prompt were in the cache before the sequence came, and were used."""
        self.cache_reply, self.cache_scope = cache_reply, cache_scope
        self.sampler, self.handler = sampler, handler
        self.slot: Slot | None = None
        self.mask = mask
        self.unread_limit = unread_limit
        self._read_draws = 0
        self.draws = 0
        """How many tokens were sampled and taken."""
        self.drawn = Draw(-1, 0, 0, 0.0)
        self.confidences: array[float] | None = None
        """Gets one value for each sampled token, see `engine.confidence`; None: not wanted."""
        self.raw_logits: RawLogits | None = None
        """Keeps what the token at hand is sampled from; None: nobody asks for it."""
        self.drafter: Drafter | None = None
        """What drafts its next tokens while it runs alone."""
        self.drafts = DraftCount()
        self.read_again = False
        """Whether it was read anew since its last token, because its logits were not finite."""

    @property
    def decoded(self) -> int:
        """How many of the tokens are in the cache."""
        return len(self.slot.cached) if self.slot else 0

    @property
    def paused(self) -> bool:
        """Whether so much of what was generated is unread that the sequence should sit out."""
        limit = self.unread_limit
        return limit is not None and self.draws - self._read_draws >= limit

    def note_read(self) -> None:
        """Note that all that was generated is read; called by the reader, from any thread."""
        self._read_draws = self.draws

    def apply(self, step: Step) -> None:
        """Let a step become part of the sequence; being called again with it changes nothing."""
        drawn, noted = self.drawn, self.confidences
        if noted is not None:
            if step.drop:
                del noted[drawn.confidences + 1 - step.drop :]
            else:
                noted[drawn.confidences :] = array("f", [drawn.confidence])
        if step.drop and self.drafter:
            self.drafter.rewind(drawn.tokens - step.drop)
        if not step.done:
            self.tokens[drawn.tokens - step.drop :] = step.append
            self.mask = step.mask
            self.draws = drawn.number + 1


class PromptOnly(Sequence):
    """A sequence that generates nothing, and ends when all its tokens but the last are cached."""

    prefill_only = True

    def __init__(self, prompt: list[int], handler: TokenHandler, *, cache_scope: str = "") -> None:
        super().__init__(prompt, None, handler, cache_scope=cache_scope)


class Slot:
    """A row of the cache: the tokens in it, and the sequence that uses it.

    Without an owner it is kept for whoever starts the same in the same `scope`.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.cached: list[int] = []
        self.prompt_tokens = 0
        self.scope = ""
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
