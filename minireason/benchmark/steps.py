"""What is measured, and in which order: that of the questions, the dear ones last."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.benchmark.track import Limit

DECODE_CONTEXTS = (0, 1024, 4096, 8192)
"""Tokens of context at which decoding is measured, as far as the model goes."""

PREFILL_TOKENS = (512, 4096)
"""Lengths of the prompts whose reading is measured."""

CHAINS_CONTEXT = 1024
"""Tokens of context of chains side by side: what a thought of twice that has on average."""

STEP_TOKENS = 256
"""Where a model's context ends before the next of these, this rounds the last one down."""

DECODE_LIMIT, CHAINS_LIMIT = Limit(128, 4.0), Limit(64, 4.0)


@dataclass(frozen=True, slots=True)
class Context:
    """Read a prompt up to so many tokens, and decode behind it if `decode`."""

    tokens: int
    decode: bool
    prefill: bool

    @property
    def title(self) -> str:
        """What is measured."""
        if self.decode:
            return f"decode at {self.tokens:,} tokens of context"
        return f"prefill of {self.tokens:,} tokens"


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Decode so many sequences behind one prompt of so many tokens."""

    chains: int
    tokens: int

    @property
    def title(self) -> str:
        """What is measured."""
        return f"{self.chains} chains side by side"


def contexts(n_ctx: int) -> list[Context]:
    """The contexts of a model whose own is `n_ctx`: the last one as long as it can be."""
    longest = max(0, n_ctx - DECODE_LIMIT.tokens - 2)
    wanted = sorted({*DECODE_CONTEXTS, *PREFILL_TOKENS})
    steps = [
        Context(tokens, tokens in DECODE_CONTEXTS, tokens in PREFILL_TOKENS)
        for tokens in wanted
        if tokens <= longest
    ]
    rounded = longest // STEP_TOKENS * STEP_TOKENS
    if steps[-1].tokens < rounded < wanted[-1]:
        steps.append(Context(rounded, decode=True, prefill=True))
    return steps


def side_by_side(context_tokens: int, at_most: int) -> list[SideBySide]:
    """Two chains, and twice as many again, up to so many."""
    counts = []
    chains = 2
    while chains <= at_most:
        counts.append(chains)
        chains *= 2
    return [SideBySide(chains, context_tokens) for chains in counts]


def in_order(n_ctx: int, room: int) -> list[Context | SideBySide]:
    """All steps, where `room` is how many chains there is room for; the longest contexts last."""
    single = contexts(n_ctx)
    short = [step for step in single if step.tokens <= CHAINS_CONTEXT]
    behind = max(step.tokens for step in short if step.decode)
    return [*short, *side_by_side(behind, room), *single[len(short) :]]
