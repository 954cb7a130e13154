"""Sequences of made-up tokens that go on whatever the model says, and the times they take."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from minireason.backends.local import LocalBackend
from minireason.engine.base import Step
from minireason.engine.sampler import SamplerChain, links
from minireason.engine.sequence import Sequence
from minireason.errors import EngineError

_LEAST_TOKENS = 4
"""Fewer tokens of a sequence say nothing, however long they take."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When a measurement has seen enough: after so many tokens of each sequence, or seconds."""

    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Times:
    """What was seen of sequences side by side."""

    cached_tokens: int
    """Tokens of the first one's prompt that were cached before."""

    read_s: float
    """From the start until each of them had its first token."""

    tokens: int
    """Tokens of all of them that were generated after that."""

    seconds: float
    """How long these took."""


class Endless:
    """The `engine.base.TokenHandler` of a sequence that nothing ends; `times` of its tokens.

    `tokens` are expected of it, so that the cache does not grow while they are timed.
    """

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self.times: list[float] = []
        self.cached_tokens: int | None = None
        self.ended: EngineError | None = None

    def on_admit(self, cached_tokens: int) -> None:
        """Note what is cached, the first time."""
        if self.cached_tokens is None:
            self.cached_tokens = cached_tokens

    def on_token(self, token: int, draw: int) -> Step:
        """Take whatever token comes, also one that would end a reply."""
        self.times[draw:] = [time.perf_counter()]
        return Step((token,))

    def reserved_tokens(self, _n_ctx: int) -> int:
        """Those that are still expected."""
        return max(0, self._tokens - len(self.times)) + 1

    def on_context_limit(self, _n_ctx: int) -> None:
        """See `engine.base.TokenHandler`."""

    def on_context_full(self) -> None:
        """See `engine.base.TokenHandler`."""
        self.ended = EngineError("There is no memory for so long a context; ask for less (--ctx).")

    def on_removed(self) -> None:
        """See `engine.base.TokenHandler`."""

    def on_error(self, error: EngineError) -> None:
        """See `engine.base.TokenHandler`."""
        self.ended = error


class Track:
    """Runs sequences over a model and takes their times; `on_step` is called after each step."""

    def __init__(self, backend: LocalBackend, on_step: Callable[[], None] = lambda: None) -> None:
        self._scheduler, self._defaults = backend.scheduler, backend.defaults
        self._on_step = on_step
        vocabulary = backend.model.vocabulary
        special = set(vocabulary.special.values())
        self._ids = [token for token in range(vocabulary.n_vocab) if token not in special]
        self._random = random.Random(1)
        self._prompt: list[int] = []

    def prompt(self, count: int) -> list[int]:
        """The first so many tokens of a text without sense, the same each time; at least one."""
        missing = count - len(self._prompt)
        if missing > 0:
            self._prompt += self._random.choices(self._ids, k=missing)
        return self._prompt[: max(1, count)]

    def run(self, chains: int, context_tokens: int, limit: Limit) -> Times:
        """Let so many sequences with one prompt generate side by side; raises EngineError."""
        handlers = [Endless(limit.tokens) for _ in range(chains)]
        prompt = self.prompt(max(1, context_tokens))
        sequences = [
            Sequence(prompt, self._sampler(seed), handler) for seed, handler in enumerate(handlers)
        ]
        started = time.perf_counter()
        try:
            for sequence in sequences:
                self._scheduler.add(sequence)
            self._step_until(handlers, lambda: all(handler.times for handler in handlers))
            ready = max(handler.times[0] for handler in handlers)
            self._step_until(handlers, lambda: _enough(handlers, ready, limit))
        finally:
            for sequence in sequences:
                self._scheduler.remove(sequence)
        times = [moment for handler in handlers for moment in handler.times if moment > ready]
        return Times(
            cached_tokens=handlers[0].cached_tokens or 0,
            read_s=ready - started,
            tokens=len(times),
            seconds=max(times) - ready,
        )

    def _sampler(self, seed: int) -> SamplerChain:
        asked = self._defaults
        return SamplerChain(links(asked.temperature, asked.top_p, asked.top_k, seed))

    def _step_until(self, handlers: list[Endless], done: Callable[[], bool]) -> None:
        while not done():
            if not self._scheduler.step():
                raise EngineError("The model does not go on; close other programs and try again.")
            for handler in handlers:
                if handler.ended:
                    raise handler.ended
            self._on_step()


def _enough(handlers: list[Endless], ready: float, limit: Limit) -> bool:
    tokens = min(len(handler.times) - 1 for handler in handlers)
    late = time.perf_counter() - ready >= limit.seconds
    return tokens >= limit.tokens or (late and tokens >= _LEAST_TOKENS)
