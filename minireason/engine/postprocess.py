"""What follows a decode: note what is cached, sample, and apply what the handlers decide."""

from __future__ import annotations

from minireason.engine.admission import Admission
from minireason.engine.base import ModelRunner, Step
from minireason.engine.batch import Chunk
from minireason.engine.cache import KVCache
from minireason.engine.sequence import Draw, Sequence, Slot
from minireason.engine.speculation import Speculation
from minireason.errors import LogitsNotFinite


class Postprocess:
    """The third part of a step, see `scheduler`; called with the plan that was decoded."""

    def __init__(
        self, runner: ModelRunner, cache: KVCache, admission: Admission, speculation: Speculation
    ) -> None:
        self._runner, self._cache = runner, cache
        self._admission, self._speculation = admission, speculation

    def __call__(self, plan: list[Chunk], clock: int) -> None:
        """Note what is cached now, and sample a token for each sequence that is through."""
        row, broken = 0, []
        for chunk in plan:
            slot, owner, size = chunk.slot, chunk.owner, chunk.size
            start = len(slot.cached)
            slot.cached += owner.tokens[start : start + size]
            slot.last_used = clock
            row += size
            if not chunk.output:
                continue
            try:
                self._check_draft(chunk, row - 1)
            except LogitsNotFinite as error:
                broken.append((owner, error))
            else:
                owner.read_again = False
        for owner, problem in broken:
            self._begin_anew(owner, problem)

    def _check_draft(self, chunk: Chunk, row: int) -> None:
        """Sample after a row, and after each of the draft's for as long as the draft is right.

        It is right where the sequence goes on with the drafted token and nothing else. Until then
        no list claims what was drafted.
        """
        slot, owner, draft = chunk.slot, chunk.owner, chunk.draft
        step, accepted = self._sample(slot, owner, row), 0
        self._speculation.note_sampled()
        while accepted < len(draft) and owner.slot is slot and _is_plain(step, draft[accepted]):
            slot.cached.append(draft[accepted])
            accepted += 1
            owner.drafts.accepted += 1
            step = self._sample(slot, owner, row + accepted)
        if draft:
            self._cache.drop_unclaimed(slot)
        self._speculation.note_checked(chunk, accepted)

    def _sample(self, slot: Slot, sequence: Sequence, row: int) -> Step:
        """Draw the next token of a sequence and apply what its handler makes of it.

        Made again after an interruption, it comes to the same.
        """
        if sequence.drawn.number != sequence.draws:
            noted = sequence.confidences
            if sequence.raw_logits is not None:
                sequence.raw_logits.keep(self._runner.logits(row))
            sequence.drawn = Draw(
                sequence.draws,
                len(sequence.tokens),
                0 if noted is None else len(noted),
                0.0 if noted is None else self._runner.confidence(row),
            )
        token = self._runner.sample(sequence.sampler, row, sequence.draws, sequence.mask)
        step = sequence.handler.on_token(token, sequence.draws)
        if not step.done:
            self._cache.trim(slot, sequence.drawn.tokens - step.drop)
        sequence.apply(step)
        if step.done:
            self._admission.remove(sequence)
        elif len(sequence.tokens) >= self._cache.n_ctx:
            self._admission.end_at_limit(sequence)
        return step

    def _begin_anew(self, sequence: Sequence, error: LogitsNotFinite) -> None:
        """Read a sequence again in cells that were wiped, or end it if that was of no use.

        What a damaged weight makes of a token, a NaN for one, stays in its cell. Without flash
        attention all that is computed in the same slot then is NaN too, also after it was trimmed.
        """
        slot = sequence.slot
        if slot:
            self._cache.wipe(slot)
        if sequence.read_again or not slot:
            sequence.handler.on_error(error)
            self._admission.remove(sequence)
        sequence.read_again = True
        sequence.drafter = None  # a wrong token might be what does it


def _is_plain(step: Step, token: int) -> bool:
    """Whether a sequence goes on with this token and nothing else."""
    return not step.done and not step.drop and list(step.append) == [token]
