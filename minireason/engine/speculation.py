"""Speculative decoding of a sequence that runs alone: a draft for its next step, and its time.

A draft is checked by sampling. The batch holds the pending token and the drafted ones, with logits
for each. After each the sequence's own sampler draws, under the mask of the step before, and the
handler decides, as without a draft. As long as what was drawn and taken is what was drafted, the
next row is the one that a plain step would have computed, and is drawn from in turn; the rest is
thrown away. So with the same logits every sampler gives the same text with a draft as without, and
budget, grammar mask, stop strings and loop check hold at each position.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from minireason.engine.base import ModelRunner
from minireason.engine.batch import Chunk
from minireason.engine.speculation_gain import MOST_DRAFTED, SpeculationGain


class Speculation:
    """Adds drafts to plans, as far as they gain, and learns what the steps cost.

    `clock` gives seconds.
    """

    def __init__(self, runner: ModelRunner, clock: Callable[[], float] = time.perf_counter) -> None:
        self._runner, self._clock = runner, clock
        self.gain = SpeculationGain()
        self._started: float | None = None
        self._took_s = 0.0

    def draft(self, plan: list[Chunk]) -> list[Chunk]:
        """Let the only sequence of a plan draft.

        Not for its first token: that of a prompt is computed the same way whenever it is asked for.
        """
        self._started = None
        if len(plan) != 1:
            return plan
        chunk = plan[0]
        owner, drafter = chunk.owner, chunk.owner.drafter
        if drafter is None or not chunk.output or not owner.draws:
            return plan
        chances = drafter.chances(owner.tokens, MOST_DRAFTED)
        self._started = self._clock()
        count = self.gain.best(chances, self._room(owner.tokens))
        if not count:
            return plan
        draft = drafter.propose(owner.tokens, count)
        if not draft:
            self._started = None  # it was busy reading
            return plan
        owner.drafts.drafted += len(draft)
        return [chunk._replace(draft=tuple(draft))]

    def _room(self, tokens: list[int]) -> int:
        """How many tokens may be drafted after these."""
        runner = self._runner
        return min(runner.n_outputs, runner.n_batch, runner.slot_tokens - len(tokens) + 1) - 1

    def note_sampled(self) -> None:
        """Note that the first token of the step was sampled: what it took until then counts."""
        if self._started is not None:
            self._took_s = self._clock() - self._started

    def note_checked(self, chunk: Chunk, accepted: int) -> None:
        """Note how many tokens of a chunk's draft were right."""
        if self._started is None:
            return
        self.gain.note(1 + len(chunk.draft), self._took_s, 1 + accepted)
        if chunk.draft and chunk.owner.drafter:
            chunk.owner.drafter.accept(accepted)
