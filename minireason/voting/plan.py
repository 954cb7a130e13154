"""The plan of a vote: what its chains are asked, with which seeds, and how many run at a time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from minireason.backends import concurrency
from minireason.backends.base import Backend, ReplyStream
from minireason.backends.pool import EnduringPool
from minireason.errors import UsageError
from minireason.messages import Message
from minireason.settings import MAX_SEED, Settings, SolveChanges, VoteSettings
from minireason.voting.chain import (
    RETRY_TEMPERATURE_STEP,
    Job,
    chain_seed,
    check_prompt,
    instruction_for,
    with_instruction,
)
from minireason.voting.stopping import worth_at_once

MEASURING_TOKENS, MEASURING_SECONDS = 1_000, 10.0
"""With a smaller budget it is not measured how many chains at a time are worth it."""


@dataclass(frozen=True, slots=True)
class VotePlan:
    """A vote with nothing left open; `settings` are those of each chain, and its seed is `seed`'s.

    `prompt_tokens` are those of every chain, `samples` the chains to run at first; for
    `cache_scope` see `StreamOptions`.
    """

    backend: Backend
    vote: VoteSettings
    settings: Settings
    seed: int
    messages: tuple[Message, ...]
    prompt_tokens: int
    cache_scope: str = ""

    @property
    def samples(self) -> int:
        """The chains that are planned; greedy ones are all the same, so one of them is enough."""
        return 1 if self.settings.temperature == 0 else self.vote.samples

    @property
    def fitting(self) -> int:
        """How many chains at a time have room."""
        return concurrency.fitting(self.backend, self.prompt_tokens, self.settings.max_tokens)

    @property
    def notes(self) -> list[str]:
        """What is otherwise than was asked for, a sentence each."""
        notes, requested = [], self.vote.parallel
        if self.samples < self.vote.samples:
            notes.append("At temperature 0 all chains are the same, so one was run.")
        if requested != "auto" and min(requested, self.samples) > self.fitting:
            notes.append(
                f"There is no room for {requested} chains at a time, "
                f"so {self.fitting} ran at a time."
            )
        return notes

    def pool(self) -> EnduringPool[Job]:
        """All jobs, and how many run at a time: as many as requested and as memory holds.

        "auto" leaves half of the chains for later, unless all are to run anyway.
        """
        planned, requested = self.samples, self.vote.parallel
        if requested == "auto":
            planned = worth_at_once(planned, self.vote)
        most = min(planned, self.fitting)
        size = concurrency.batch_size(
            self.backend,
            requested,
            most,
            measure=self._may_measure(),
            depth=concurrency.mean_depth(self.prompt_tokens, self.settings.max_tokens),
        )
        return EnduringPool([self.job(index) for index in range(self.samples)], size)

    def _may_measure(self) -> bool:
        """Whether the budgets leave room for beginning with one chain at a time."""
        tokens, seconds = self.vote.budget_tokens, self.vote.budget_s
        return (tokens is None or tokens >= MEASURING_TOKENS) and (
            seconds is None or seconds >= MEASURING_SECONDS
        )

    def job(self, index: int, replaces: int | None = None) -> Job:
        """A chain of its own seed, somewhat hotter where it replaces another one."""
        temperature = self.settings.temperature
        if replaces is not None:
            temperature += RETRY_TEMPERATURE_STEP
        return Job(index, chain_seed(self.seed, index), temperature, replaces)

    def start(self, job: Job, allowance: Callable[[], int]) -> ReplyStream:
        """Open the stream of a chain; with a budget it may generate what `allowance` leaves."""
        return job.start(
            self.backend,
            self.messages,
            self.settings,
            watch_confidence=self.samples > 1,
            allowance=None if self.vote.budget_tokens is None else allowance,
            cache_scope=self.cache_scope,
        )


def plan_vote(
    backend: Backend,
    question: str | Sequence[Message],
    changes: SolveChanges,
    cache_scope: str = "",
) -> VotePlan:
    """Plan a vote over a question; raises BadSetting, UsageError or ContextFull."""
    vote, own = VoteSettings.split(changes)
    settings = backend.defaults.changed(own)
    instruction = instruction_for(
        vote.instruction, bare=backend.bare_questions, structured=settings.structured
    )
    messages = with_instruction(question, instruction)
    if messages and messages[-1]["role"] == "assistant":
        raise UsageError(
            "A vote asks a question; leave out the assistant's message at the end, "
            "or ask for one reply."
        )
    return VotePlan(
        backend=backend,
        vote=vote,
        settings=settings,
        seed=random.randrange(MAX_SEED) if settings.seed is None else settings.seed,
        messages=tuple(messages),
        prompt_tokens=check_prompt(backend, messages, settings),
        cache_scope=cache_scope,
    )
