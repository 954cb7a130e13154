"""Self-consistency: many chains, one answer, by majority vote (arXiv 2203.11171).

Chains share batches (continuous batching, see `backends.pool`), refill the places of those that
have ended, vote, and stop as soon as the vote is decided (early stopping, see `stopping`).

**What holds after an interruption**, which may come at any line. Each act leaves the truth in one
place, and whatever else depends on it is made to follow by `_settle`:

- The pool says which chains wait and run, and which of their events were not told yet.
- The record says which have been started, and which have come to their end by themselves.
- `_because` says that the vote is decided: from then on chains are only stopped.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Sequence

from minireason.backends.base import Backend, ReplyStream
from minireason.backends.pool import Active
from minireason.closing import Closing
from minireason.errors import MinireasonError, ServerError, UsageError
from minireason.events import Done, Event
from minireason.messages import Message
from minireason.settings import SolveChanges
from minireason.voting.chain import Job
from minireason.voting.outcome import RunFacts, solution_of
from minireason.voting.plan import plan_vote
from minireason.voting.record import Record
from minireason.voting.solution import (
    Chain,
    ChainCancelled,
    ChainDelta,
    Decided,
    Solution,
    Solved,
    SolveEvent,
    StoppedBecause,
)
from minireason.voting.stopping import decided


class SolveStream(Iterator[SolveEvent], Closing):
    """The events of one vote, to be iterated once; the last is `Solved`.

    Asking for the next event runs the model until there is one. Closing it ends all chains. Raises
    BadSetting, UsageError or ContextFull when made. For `cache_scope` see `StreamOptions`.
    """

    def __init__(
        self,
        backend: Backend,
        question: str | Sequence[Message],
        changes: SolveChanges,
        *,
        cache_scope: str = "",
    ) -> None:
        self._plan = plan_vote(backend, question, changes, cache_scope)
        self._pool = self._plan.pool()
        self._prompt_tokens = self._plan.prompt_tokens
        self._record = Record(structured=self._plan.settings.structured)
        self._failure: MinireasonError | None = None
        self._cancelled = self._closed = False
        self._because: StoppedBecause | None = None
        self._solution: Solution | None = None
        self._began = time.perf_counter()

    def __iter__(self) -> SolveStream:
        return self

    def __next__(self) -> SolveEvent:
        while not self._closed:
            if self._record.unread:
                return self._record.read()
            if self._pool.events:
                delta = self._delta(*self._pool.events[0])
                if delta:
                    return (delta, self._pool.events.popleft())[0]  # given and taken in one act
                self._pool.events.popleft()
            elif not self._advance():
                break
        raise StopIteration

    def poll(self) -> list[SolveEvent]:
        """The events that are there after at most one round, perhaps none.

        A round is at most one step of the model for each chain. For reading it in turn with others,
        see `ReplyStream.poll`.
        """
        if self._closed:
            return []
        if not self._is_waiting:
            self._advance()
        if self._record.unread:
            return self._record.read_all()
        deltas: list[SolveEvent] = [
            delta for told in self._pool.events if (delta := self._delta(*told))
        ]
        take: Callable[[], object] = self._pool.events.clear
        return (deltas, take())[0]  # given and taken in one act

    @property
    def ready(self) -> bool:
        """See `KnowsWhenReady.ready`."""
        return self._is_waiting or self.ended

    @property
    def ended(self) -> bool:
        """Whether the vote is decided or was ended, though not all events may have been read."""
        return self._solution is not None

    @property
    def _is_waiting(self) -> bool:
        """Whether an event waits for whoever reads them."""
        return bool(self._record.unread or self._pool.events)

    def _advance(self) -> bool:
        """Run a round, or tell the last events; False once all is told."""
        if self._solution is None:
            self._round()
        elif isinstance(self._record.last, Solved):
            return False
        else:
            self._record.tell(self._last_events(self._solution))
        return True

    def _delta(self, active: Active[Job], event: Event) -> ChainDelta | None:
        """What a chain said, as an event of the vote; its end is told otherwise."""
        if isinstance(event, Done):
            return None
        return ChainDelta(active.job.index, event, active.stream.tokens)

    def cancel(self) -> None:
        """Ask from any thread or a signal handler that the vote end here.

        Iterating on gives what is left, then Solved.
        """
        self._cancelled = True

    def close(self) -> None:
        """Stop the chains that run and free their places; `solution` is then the vote so far.

        Where they can only be dropped now, see `ReplyStream.close`, it is once it is closed again.
        """
        if self._solution is not None:
            return
        self._closed = True
        running = [active.stream for active in self._pool.active]
        for stream in running:
            stream.close()
        if all(stream.ended for stream in running):
            self._decide("cancelled")

    @property
    def solution(self) -> Solution:
        """What the vote came to; raises UsageError before it has ended."""
        if self._solution is None:
            raise UsageError("This vote has not ended; iterate it to the end or close it first.")
        return self._solution

    def _round(self) -> None:
        """Count the chains that have ended; if more are needed, one step of the model for each."""
        self._settle()
        if self._because is None and self._read_ended():
            return  # what they said is told before their end
        because = self._because or self._count_ended()
        if because is not None:
            self._decide(because)
            return
        self._pool.fill(self._starter(), lambda: not self._spent(len(self._pool.active) + 1))
        self._settle()
        for _ in self._pool.turn():
            if self._spent(len(self._pool.active)):
                break

    def _count_ended(self) -> StoppedBecause | None:
        """Let the chains vote that have ended by themselves; why the vote is over now, or None."""
        for active in self._ended():
            self._count(active)
        because = self._over()
        if because and self._failure and not self._record.candidates():
            raise self._failure
        return because

    def _ended(self) -> list[Active[Job]]:
        return [active for active in self._pool.active if active.stream.ended]

    def _read_ended(self) -> bool:
        """Read what is left of the chains that have ended; whether there was anything."""
        for active in self._ended():
            self._pool.poll(active)
        return bool(self._pool.events)

    def _starter(self) -> Callable[[Job], ReplyStream]:
        """What opens the stream of a chain.

        A stream knows this vote by a weak reference: so a vote that is dropped is gone at once, and
        its chains with it.
        """
        plan, vote = self._plan, weakref.ref(self)

        def tokens_left() -> int:
            alive = vote()
            return 0 if alive is None else alive._tokens_left()

        return lambda job: plan.start(job, tokens_left)

    def _settle(self) -> None:
        """Make everything follow from pool and record; twice is as good as once."""
        pool, record = self._pool, self._record
        pool.settle()
        record.follow()
        for active in list(pool.active):
            if active.job.index in record.chains:
                pool.remove(active)
            else:
                record.start(active.job)
        for chain in record.to_replace():
            if all(job.replaces != chain.index for job in pool.waiting):
                jobs = len(record.chains) + len(pool.active) + len(pool.waiting)
                pool.waiting.appendleft(self._plan.job(jobs, replaces=chain.index))

    def _count(self, active: Active[Job]) -> None:
        """Let a chain that ended by itself vote; one that its server has lost is asked again."""
        if self._pool.asks_again(active):
            return
        if isinstance(active.error, ServerError):
            raise active.error
        chain = self._end(active)
        self._failure = self._failure or active.error
        others = len(self._pool.active) - 1 + len(self._pool.waiting)
        self._record.end(chain, others)
        self._settle()

    def _end(self, active: Active[Job]) -> Chain:
        """What a chain came to, once its stream is closed."""
        chain = active.job.end(active.stream, structured=self._plan.settings.structured)
        self._prompt_tokens = active.stream.reply.usage.prompt_tokens
        return chain

    def _decide(self, because: StoppedBecause) -> None:
        """End the vote: stop what runs; what has just come to its end by itself votes."""
        self._because = self._because or because
        self._settle()
        for active in list(self._pool.active):
            chain = self._end(active)
            if chain.finish == "cancelled":
                self._record.stop(chain)
                self._pool.remove(active)
            else:
                self._count(active)
        self._plan.backend.release()
        self._solution = solution_of(self._plan, self._record, self._run_facts(self._because))

    def _run_facts(self, because: StoppedBecause) -> RunFacts:
        return RunFacts(
            stopped_because=because,
            parallel=self._pool.size.now,
            prompt_tokens=self._prompt_tokens,
            failure=self._failure,
            total_s=time.perf_counter() - self._began,
        )

    def _last_events(self, solution: Solution) -> list[SolveEvent]:
        stopped = map(ChainCancelled, self._record.stopped)
        return [Decided(solution.stopped_because), *stopped, Solved(solution)]

    def _over(self) -> StoppedBecause | None:
        vote = self._plan.vote
        because = decided(self._record.places(), self._plan.samples, vote)
        if because is not None:
            return because
        if self._cancelled:
            return "cancelled"
        if self._spent(max(1, len(self._pool.active))):  # the next step may bring one for each
            return "budget_tokens"
        if vote.budget_s is not None and time.perf_counter() - self._began >= vote.budget_s:
            return "budget_s"
        return None

    def _spent(self, next_tokens: int) -> bool:
        """Whether so many more tokens would be over the budget."""
        return self._plan.vote.budget_tokens is not None and next_tokens > self._tokens_left()

    def _tokens_left(self) -> int:
        """What `budget_tokens` leaves for all chains together; 0 if there is no such budget.

        Any thread that runs the model may call it, so it changes nothing. A chain has ended before
        it leaves the pool: so none is missed in this order.
        """
        running = {active.job.index: active.stream.tokens for active in list(self._pool.active)}
        ended = {chain.index: chain.tokens for chain in self._record.ended}
        return max(0, (self._plan.vote.budget_tokens or 0) - sum((running | ended).values()))
