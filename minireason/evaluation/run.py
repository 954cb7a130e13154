"""Run the chains of many items in one batch that is kept full, whichever items they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from minireason.backends import concurrency
from minireason.backends.base import Backend, ReplyStream
from minireason.backends.pool import Active, Pool, PoolRun
from minireason.errors import BadSetting, ContextFull, UsageError
from minireason.evaluation.items import Item
from minireason.evaluation.traces import Run
from minireason.messages import Message
from minireason.settings import ChainChanges, Changes
from minireason.voting.chain import (
    RETRY_TEMPERATURE_STEP,
    Job,
    chain_seed,
    check_prompt,
    with_instruction,
)
from minireason.voting.solution import Chain

Missing = Sequence[tuple[Item, int, bool]]
Refusal = UsageError | ContextFull
"""What is wrong with an item that cannot be asked."""


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
    replaced, once, as `solve` does.
    """

    def __init__(self, backend: Backend, run: Run, changes: ChainChanges, *, vote: bool) -> None:
        super().__init__()
        self._backend, self._run, self.vote = backend, run, vote
        self._settings = backend.defaults.changed(cast("Changes", changes))
        self._prompt_tokens = 0

    def refused(self, items: Sequence[Item], *, others: bool = False) -> dict[int, Refusal]:
        """What is wrong with the items that cannot be asked, by their lines.

        Raises what is wrong with the first if none can be, unless there are `others`, which have
        been asked already.
        """
        problems: dict[int, Refusal] = {}
        for item in items:
            try:
                tokens = check_prompt(self._backend, self._messages(item), self._settings)
            except BadSetting:
                raise
            except (UsageError, ContextFull) as error:
                problems[item.number] = error
            else:
                self._prompt_tokens = max(self._prompt_tokens, tokens)
        if problems and len(problems) == len(items) and not others:
            raise next(iter(problems.values()))
        return problems

    def chains(
        self, missing: Missing, requested: int | Literal["auto"] = "auto"
    ) -> Iterator[tuple[Item, Chain] | None]:
        """The chains in the order in which they end, `requested` at a time.

        In between comes None again and again, for whoever shows how far it is.
        """
        jobs = [self._job(item, index, again=again) for item, index, again in missing]
        self.pool = pool = Pool(jobs, self._batch_size(len(jobs), requested))
        try:
            while pool.busy and not self.cancelled:
                pool.fill(self._start)
                for active in pool.turn():
                    if active.error:
                        raise active.error
                    if active.stream.ended:
                        yield self._end(active)
                pool.events.clear()
                yield None
        finally:
            self.end()
            self._backend.release()

    def _batch_size(self, jobs: int, requested: int | Literal["auto"]) -> concurrency.BatchSize:
        prompt_tokens, max_tokens = self._prompt_tokens, self._settings.max_tokens
        fitting = concurrency.fitting(self._backend, prompt_tokens, max_tokens)
        depth = concurrency.mean_depth(prompt_tokens, max_tokens)
        most = max(1, min(jobs, fitting))
        return concurrency.batch_size(self._backend, requested, most, depth=depth)

    def _messages(self, item: Item) -> list[Message]:
        return with_instruction(item.messages(self._run.system), self._run.instruction)

    def _job(self, item: Item, index: int, *, again: bool = False) -> ItemJob:
        place = (self._run.seed or 0, item.number, index)
        temperature = self._settings.temperature
        if again:
            seed, hotter = chain_seed(*place, "again"), temperature + RETRY_TEMPERATURE_STEP
            return ItemJob(item, Job(index, seed, hotter, replaces=index))
        return ItemJob(item, Job(index, chain_seed(*place), temperature))

    def _start(self, planned: ItemJob) -> ReplyStream:
        return planned.job.start(self._backend, self._messages(planned.item), self._settings)

    def _end(self, active: Active[ItemJob]) -> tuple[Item, Chain]:
        """Take out a chain that has ended, and plan the one that replaces it if it has to be."""
        item, job = active.job.item, active.job.job
        chain = job.end(active.stream, structured=self._settings.structured)
        self.ended_tokens += chain.tokens
        self.pool.remove(active)
        if chain.replaced and self.vote:
            self.pool.waiting.appendleft(self._job(item, chain.index, again=True))
        return item, chain
