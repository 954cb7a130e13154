"""Run the chains of many items in one batch that is kept full, whichever items they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from minireason.backends.base import Backend, ReplyStream
from minireason.backends.pool import Active, PoolRun, Refused
from minireason.evaluation.items import Item
from minireason.evaluation.trace_format import Run
from minireason.messages import Message
from minireason.settings import ChainChanges, Settings
from minireason.voting.chain import RETRY_TEMPERATURE_STEP, Job, chain_seed, with_instruction
from minireason.voting.solution import Chain

Missing = Sequence[tuple[Item, int, bool]]


@dataclass(frozen=True, slots=True)
class ItemJob:
    """A chain of an item."""

    item: Item
    job: Job


class Runner(PoolRun[ItemJob]):
    """Runs the chains of a run.

    The seed of each is made of the run's, the item's line and its index. So a run that was cut off
    goes on with the chains that it would have run, and texts differ at most in what batches of
    other shapes do to the last bits. `vote`: whether chains that went round in circles are
    replaced, once, as `solve` does, and their confidences asked for, which decide a tie.
    """

    def __init__(self, backend: Backend, run: Run, changes: ChainChanges, *, vote: bool) -> None:
        super().__init__(backend)
        self._run, self.vote = run, vote
        self._settings = backend.defaults.changed(changes)

    def chains(
        self, missing: Missing, requested: int | Literal["auto"] = "auto"
    ) -> Iterator[tuple[Item, Chain] | Refused[ItemJob] | None]:
        """The chains in the order in which they end; see `PoolRun.outcomes`."""
        jobs = (self._job(item, index, again=again) for item, index, again in missing)
        for outcome in self.outcomes(jobs, requested, len(missing)):
            if isinstance(outcome, Active):
                yield outcome.job.item, self._chain(outcome)
            else:
                yield outcome

    def asked(self, job: ItemJob) -> tuple[Sequence[Message], Settings]:
        """What each chain of an item asks, and how."""
        messages = job.item.messages(self._run.system)
        return with_instruction(messages, self._run.instruction), self._settings

    def start(self, job: ItemJob) -> ReplyStream:
        """Open the stream of a chain."""
        return job.job.start(self.backend, *self.asked(job), watch_confidence=self.vote)

    def _job(self, item: Item, index: int, *, again: bool = False) -> ItemJob:
        place = (self._run.seed or 0, item.number, index)
        temperature = self._settings.temperature
        if again:
            seed, temperature = chain_seed(*place, "again"), temperature + RETRY_TEMPERATURE_STEP
            return ItemJob(item, Job(index, seed, temperature, replaces=index))
        return ItemJob(item, Job(index, chain_seed(*place), temperature))

    def _chain(self, ended: Active[ItemJob]) -> Chain:
        """What a chain came to; the one that replaces it, if it has to be, runs next."""
        item, job = ended.job.item, ended.job.job
        chain = job.end(ended.stream, structured=self._settings.structured)
        if chain.replaced and self.vote:
            self.pool.waiting.appendleft(self._job(item, chain.index, again=True))
        return chain
