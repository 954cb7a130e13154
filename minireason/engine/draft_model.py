"""Drafts from a second, smaller model with the same vocabulary."""

from __future__ import annotations

from minireason.engine.acceptance import Acceptance
from minireason.engine.base import Batch, ModelRunner, Sampler
from minireason.engine.sequence import common_prefix

RETRY_STEPS = 512
"""After so many steps without a draft it may be about something else, and is tried again."""

_ONE_CLASS = 1
"""Of what rests on no match there is one class."""


class ModelDrafter:
    """Proposes what a draft model takes for likeliest; an `engine.base.Drafter`.

    `runner` is the draft model's own cache, of which it uses the first slot, and `sampler` one that
    takes the likeliest token. It may serve one sequence after another: what the slot holds is kept
    as far as the tokens are the same. What it does not know is read when it is to draft, a batch a
    step, and nothing is drafted until then, nor where there is no room for more tokens. As in
    `cache`, the list of cached tokens never claims more than the runner holds.
    """

    def __init__(self, runner: ModelRunner, sampler: Sampler, max_tokens: int) -> None:
        self._runner, self._sampler, self._max_tokens = runner, sampler, max_tokens
        self._cached: list[int] = []
        self._draws = self._proposed = self._idle_steps = 0
        self._acceptance = Acceptance()

    def chances(self, tokens: list[int], most: int) -> list[float]:
        """See `base.Drafter`."""
        if not self._has_room(len(tokens) + most):
            return []
        self._idle_steps += 1
        if self._idle_steps > RETRY_STEPS:
            self._acceptance, self._idle_steps = Acceptance(), 0
        return [self._acceptance.chance(_ONE_CLASS)] * most

    def propose(self, tokens: list[int], count: int) -> list[int]:
        """See `base.Drafter`."""
        self._keep(tokens)
        pending, draft = tokens[len(self._cached) :], list[int]()
        if len(pending) > self._runner.n_batch:
            self._decode(pending[: self._runner.n_batch])
            return []
        while len(draft) < count and self._decode(pending):
            self._draws += 1
            token = self._runner.sample(self._sampler, len(pending) - 1, self._draws, None)
            draft.append(token)
            pending = [token]
        self._proposed, self._idle_steps = len(draft), 0
        return draft

    def accept(self, count: int) -> None:
        """See `base.Drafter`."""
        for number in range(min(count + 1, self._proposed)):
            self._acceptance.note(_ONE_CLASS, number < count)

    def rewind(self, keep: int) -> None:
        """See `base.Drafter`."""
        self._trim(keep)

    def reset(self) -> None:
        """See `base.Drafter`."""
        self._trim(0)

    def close(self) -> None:
        """Free the draft model's cache."""
        self._runner.close()

    def _keep(self, tokens: list[int]) -> None:
        """Keep what the slot has in common with these tokens; the last has always to be decoded."""
        self._trim(min(common_prefix(self._cached, tokens), len(tokens) - 1))

    def _trim(self, keep: int) -> None:
        del self._cached[keep:]
        self._runner.trim(0, len(self._cached))

    def _has_room(self, tokens: int) -> bool:
        size = self._runner.slot_tokens
        if tokens <= size:
            return True
        larger = min(max(2 * size, tokens), self._max_tokens)
        if tokens > larger:
            return False
        if not self._runner.finish_resize():
            self._cached = []
            self._runner.clear()
        return self._runner.resize(1, larger)

    def _decode(self, tokens: list[int]) -> bool:
        """Compute these tokens with logits after the last; False if it was stopped."""
        decoded = self._runner.decode(Batch.of_slot(0, tokens, len(self._cached)))
        if decoded:
            self._cached += tokens
        return decoded
