"""Many chains, one answer: chains share batches, refill slots, vote, and stop as soon as the vote is decided."""

from __future__ import annotations

import operator
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType

from minireason.backends import concurrency
from minireason.backends.base import Backend
from minireason.errors import UsageError
from minireason.events import Done
from minireason.messages import Message
from minireason.settings import MAX_SEED, SolveChanges, VoteSettings
from minireason.voting.ballot import Ballot
from minireason.voting.chain import (
    HOTTER,
    Job,
    Running,
    canonical,
    chain_seed,
    instruction_for,
    with_instruction,
)
from minireason.voting.solution import (
    Chain,
    ChainAnswered,
    ChainCancelled,
    ChainDelta,
    ChainStarted,
    Decided,
    Solution,
    Solved,
    SolveEvent,
    SolveTokens,
    StoppedBecause,
    VoteChanged,
)
from minireason.voting.stopping import NoVote, Place, decided, worth_at_once


class SolveStream(Iterator[SolveEvent]):
    """The events of one vote, to be iterated once; the last is `Solved`. Closing it ends all chains.

    Asking for the next event runs the model until there is one. Raises BadSetting, UsageError or ContextFull when made.
    """

    def __init__(
        self, backend: Backend, question: str | Sequence[Message], changes: SolveChanges
    ) -> None:
        self._vote, own = VoteSettings.split(changes)
        self._settings = backend.defaults.changed(own)
        self._backend = backend
        self._seed = (
            random.randrange(MAX_SEED) if self._settings.seed is None else self._settings.seed
        )
        instruction = instruction_for(
            backend.name, self._vote.instruction, structured=self._settings.structured
        )
        self._messages = with_instruction(question, instruction)
        self._notes: list[str] = []
        self._planned = deque(self._job(index) for index in range(self._samples()))
        self._jobs = self._places = len(self._planned)
        self._started: list[int] = []
        self._open: list[Running] = []
        self._chains: dict[int, Chain] = {}
        self._ballot: Ballot | None = None
        self._voters: list[int] = []
        self._cancelled = False
        self._failure: UsageError | None = None
        self._solution: Solution | None = None
        first = self._start(self._planned[0]).stream
        first.close()  # it was only made to have a question that is empty or too long refused now
        self._prompt_tokens = first.reply.usage.prompt_tokens
        self._parallel: int | None = None
        self._began = time.perf_counter()
        self._ready: deque[SolveEvent] = deque()

    def __iter__(self) -> SolveStream:
        return self

    def __next__(self) -> SolveEvent:
        while not self._ready:
            if self._solution is not None:
                raise StopIteration
            self._round()
        return self._ready.popleft()

    def cancel(self) -> None:
        """Ask from any thread or a signal handler that the vote end here; iterating on gives what is left, then Solved."""
        self._cancelled = True

    def close(self) -> None:
        """Stop the chains that run and free their places; `solution` is then the vote so far."""
        for running in list(self._open):
            self._end(running)
        if self._solution is None:
            self._solution = self._solve("cancelled")
            self._ready.clear()

    @property
    def solution(self) -> Solution:
        """What the vote came to; raises UsageError before it has ended."""
        if self._solution is None:
            raise UsageError("This vote has not ended; iterate it to the end or close it first.")
        return self._solution

    def __enter__(self) -> SolveStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _samples(self) -> int:
        if self._settings.temperature == 0 and self._vote.samples > 1:
            self._notes.append("At temperature 0 all chains are the same, so one was run.")
            return 1
        return self._vote.samples

    def _job(self, index: int, replaces: int | None = None) -> Job:
        temperature = self._settings.temperature + (0 if replaces is None else HOTTER)
        return Job(index, chain_seed(self._seed, index), temperature, replaces)

    def _start(self, job: Job) -> Running:
        return job.start(
            self._backend,
            self._messages,
            self._settings,
            watched=self._vote.samples > 1,
            allowance=None if self._vote.budget_tokens is None else self._tokens_left,
        )

    def _round(self) -> None:
        """At most one step of the model for each chain, and what comes of it.

        An interruption may come anywhere: what was done before it is found done, and is not done again.
        """
        if self._parallel is None:
            self._parallel = self._choose_parallel()
        because = self._over()
        if because is None:
            self._fill(self._parallel)
            for running in list(self._open):
                self._read(running)
                if self._spent(len(self._open)):
                    break
            because = self._over()
        if because is not None:
            self._decide(because)

    def _read(self, running: Running) -> None:
        """Pass on what a chain says, and let it vote if it has come to its end."""
        index = running.job.index
        try:
            events = running.stream.poll()
        except UsageError as error:  # of the schema's own code: this chain has no answer
            if self._failure is None:
                self._notes.append(f"An answer was left out: {error}")
            self._failure, events = error, []
        for event in events:
            if not isinstance(event, Done):
                self._ready.append(ChainDelta(index, event, running.stream.tokens))
        if running.stream.ended:
            self._count(running)

    def _decide(self, because: StoppedBecause) -> None:
        """End the vote. A chain that has come to its end by itself, if only in the last step, votes."""
        for running in list(self._open):
            if running.stream.ended:
                self._read(running)
        if not self._open and not self._planned and because in ("lead", "beta"):
            because = "all_done"  # the last of them ended in the step that decided it
        if self._failure and not self._voters:
            raise self._failure
        for running in list(self._open):
            self._end(running)
        last = self._ready[-1] if self._ready else None
        if not isinstance(last, Solved):
            stopped = [chain for chain in self._chains.values() if chain.finish == "cancelled"]
            last = Solved(self._solve(because))
            self._ready.extend([Decided(because), *map(ChainCancelled, stopped), last])
        self._solution = last.solution

    def _choose_parallel(self) -> int:
        """As many as wished for and memory holds; "auto" leaves half of the chains for later, unless all are to run anyway."""
        planned, wished = len(self._planned), self._vote.parallel
        fitting = concurrency.fitting(self._backend, self._prompt_tokens, self._settings.max_tokens)
        if wished == "auto":
            planned = worth_at_once(planned, self._vote)
        chosen = concurrency.choose(
            self._backend,
            wished,
            min(planned, fitting),
            lambda index: self._start(self._job(index)).stream,
            measure=concurrency.affordable(self._vote),
            stopped=lambda: self._cancelled,
        )
        if wished != "auto" and min(wished, planned) > fitting:
            self._notes.append(
                f"There is no room for {wished} chains at a time, so {fitting} ran at a time."
            )
        return chosen

    def _fill(self, most: int) -> None:
        while self._planned and len(self._open) < most and not self._spent(len(self._open) + 1):
            job = self._planned[0]
            if all(running.job.index != job.index for running in self._open):
                running = self._start(job)
                self._open.append(running)
            self._take_place(job)
            self._planned.popleft()
            self._ready.append(ChainStarted(job.index, job.seed, job.replaces))

    def _take_place(self, job: Job) -> None:
        """Note who is where in the planned order; a replacement has the place of the replaced."""
        if job.replaces in self._started:
            self._started[self._started.index(job.replaces)] = job.index
        elif job.index not in self._started:
            self._started.append(job.index)

    def _place(self, index: int) -> Place:
        chain = self._chains.get(index)
        if chain is None or chain.replaced:
            return NoVote.RUNNING
        group = self._votes().group(index)
        return NoVote.ABSTAINED if group is None else group

    def _end(self, running: Running) -> Chain:
        """Close a chain's stream and keep what it came to."""
        self._chains[running.job.index] = chain = running.end(structured=self._settings.structured)
        self._open.remove(running)
        return chain

    def _count(self, running: Running) -> None:
        """Let a chain that ended by itself vote, or be replaced."""
        chain = running.end(structured=self._settings.structured)
        voted = chain.answer is not None and not chain.replaced
        if chain.replaced and all(job.replaces != chain.index for job in self._planned):
            self._planned.appendleft(self._job(self._jobs, replaces=chain.index))
            self._jobs += 1
        if voted:
            self._add_vote(chain)
        self._chains[chain.index] = chain
        self._open.remove(running)
        self._ready.append(ChainAnswered(chain))
        if voted:
            left = len(self._open) + len(self._planned)
            self._ready.append(VoteChanged(self._votes().candidates(), left))

    def _add_vote(self, chain: Chain) -> None:
        """Count a vote once; a ballot that an interruption left half changed is made again."""
        if chain.index in self._voters or chain.answer is None:
            return
        ballot, self._ballot = self._votes(), None
        ballot.add(chain.index, chain.answer, chain.confidence)
        self._chains[chain.index] = chain
        self._voters.append(chain.index)
        self._ballot = ballot

    def _votes(self) -> Ballot:
        if self._ballot is None:
            ballot = Ballot(operator.eq, canonical) if self._settings.structured else Ballot()
            for index in self._voters:
                chain = self._chains[index]
                ballot.add(index, chain.answer or "", chain.confidence)
            self._ballot = ballot
        return self._ballot

    def _spent(self, next_tokens: int = 1) -> bool:
        """Whether so many more tokens would be over the budget."""
        return self._vote.budget_tokens is not None and next_tokens > self._tokens_left()

    def _tokens_left(self) -> int:
        """What the budget leaves for all chains together; only if there is one."""
        ended = {index: chain.tokens for index, chain in list(self._chains.items())}
        running = {run.job.index: run.stream.tokens for run in list(self._open)}
        return (self._vote.budget_tokens or 0) - sum((ended | running).values())

    def _over(self) -> StoppedBecause | None:
        places = [self._place(index) for index in self._started]
        because = decided(places, self._places, self._vote)
        if because is not None:
            return because
        if self._cancelled:
            return "cancelled"
        if self._spent(max(1, len(self._open))):  # the next step may bring one for each
            return "budget_tokens"
        if (
            self._vote.budget_s is not None
            and time.perf_counter() - self._began >= self._vote.budget_s
        ):
            return "budget_s"
        return None

    def _solve(self, because: StoppedBecause) -> Solution:
        chains = tuple(chain for _, chain in sorted(self._chains.items()))
        candidates = self._votes().candidates()
        best = best_chain(chains, candidates[0].chains if candidates else None)
        if not candidates:
            shown = "" if best is None else f" Shown is chain {best + 1}, the most confident one."
            self._notes.append(
                f"No chain ended in an answer that can be compared with others, so there was no vote.{shown}"
            )
        return Solution(
            model=self._backend.name,
            answer=candidates[0].answer if candidates else None,
            agreement=candidates[0].share if candidates else 0.0,
            parsed=next(chain.parsed for chain in chains if chain.index == candidates[0].chains[0])
            if candidates
            else None,
            candidates=candidates,
            chains=chains,
            best=best,
            stopped_because=because,
            planned=self._vote.samples,
            parallel=self._parallel or 1,
            seed=self._seed,
            tokens=SolveTokens(
                prompt=self._prompt_tokens,
                generated=sum(chain.tokens for chain in chains),
                cancelled=sum(chain.tokens for chain in chains if chain.finish == "cancelled"),
            ),
            total_s=time.perf_counter() - self._began,
            notes=tuple(self._notes),
        )


def best_chain(chains: Sequence[Chain], voters: Sequence[int] | None) -> int | None:
    """The index of the most confident chain: of these voters, or (None) of all that ended by themselves with any text."""
    eligible = [
        chain
        for chain in chains
        if (chain.index in voters if voters is not None else chain.finish == "stop" and chain.text)
    ]
    return max(eligible, key=lambda chain: chain.confidence or 0.0).index if eligible else None
