"""What has become of the chains of a vote, told and kept in one place."""

from __future__ import annotations

import itertools
import operator

from minireason.voting import ballot
from minireason.voting.chain import Job
from minireason.voting.solution import (
    Candidate,
    Chain,
    ChainAnswered,
    ChainStarted,
    SolveEvent,
    VoteChanged,
)
from minireason.voting.stopping import NoVote, Place


class Record:
    """The events that say which chains were started and which have come to their end by themselves.

    An event makes what it says so, by being in the list; all the rest follows from the list, once
    `follow` is called. So an interruption at any line loses none and doubles none. Chains that are
    stopped, once the vote is decided, stand beside.
    """

    def __init__(self, *, structured: bool) -> None:
        self._events: list[SolveEvent] = []
        self._unread, self._followed = iter(self._events), 0
        self._begun: set[int] = set()
        self._places: list[int] = []
        self._chains: dict[int, Chain] = {}
        self._stopped: dict[int, Chain] = {}
        self._ballot = ballot.of_answers(structured=structured)

    @property
    def unread(self) -> bool:
        """Whether an event waits for whoever reads them."""
        return operator.length_hint(self._unread) > 0  # of an iterator over a list it is exact

    def read(self) -> SolveEvent:
        """The next event, in one call, so that no interruption comes between taking and giving."""
        return next(self._unread)

    def read_all(self) -> list[SolveEvent]:
        """All events that wait, in one call as well."""
        return list(itertools.islice(self._unread, operator.length_hint(self._unread)))

    def tell(self, events: list[SolveEvent]) -> None:
        """Add some events."""
        self._events += events

    @property
    def last(self) -> SolveEvent | None:
        """The event that was added last."""
        return self._events[-1] if self._events else None

    @property
    def chains(self) -> dict[int, Chain]:
        """The chains that have come to their end by themselves, by their indices."""
        return self._chains

    def start(self, job: Job) -> None:
        """Note that a chain was started; once."""
        if job.index not in self._begun:
            self._events.append(ChainStarted(job.index, job.seed, job.replaces))
            self.follow()

    def end(self, chain: Chain, still_open: int) -> None:
        """Note that a chain has come to its end, and let it vote; `still_open` others may vote."""
        events: list[SolveEvent] = [ChainAnswered(chain)]
        if chain.answer is not None and not chain.replaced:
            self._ballot.add(chain.index, chain.answer, chain.confidence)
            events.append(VoteChanged(self._ballot.candidates(), still_open))
        self._events += events

    def stop(self, chain: Chain) -> None:
        """Note that a chain was stopped; it does not vote."""
        self._stopped[chain.index] = chain

    @property
    def stopped(self) -> list[Chain]:
        """The chains that were stopped."""
        return list(self._stopped.values())

    @property
    def ended(self) -> list[Chain]:
        """All chains that have ended, by themselves or stopped."""
        return [*self._chains.values(), *self._stopped.values()]

    def candidates(self) -> tuple[Candidate, ...]:
        """The answers that were voted for, the leader first."""
        return self._ballot.candidates()

    def places(self) -> list[Place]:
        """What the chains came to, in the planned order, as far as they were started.

        A chain that replaces one that went round in circles has the place of that.
        """
        return [self._place(index) for index in self._places]

    def _place(self, index: int) -> Place:
        chain = self._chains.get(index)
        if chain is None or chain.replaced:
            return NoVote.RUNNING
        group = self._ballot.group(index)
        return NoVote.ABSTAINED if group is None else group

    def to_replace(self) -> list[Chain]:
        """The chains that went round in circles and whose place was not taken by another one."""
        ended = (self._chains.get(index) for index in self._places)
        return [chain for chain in ended if chain and chain.replaced]

    def follow(self) -> None:
        """Make the rest follow from those events for which that was not done yet."""
        while self._followed < len(self._events):
            event = self._events[self._followed]
            if isinstance(event, ChainStarted):
                self._begin(event)
            elif isinstance(event, ChainAnswered):
                self._chains[event.chain.index] = event.chain
            self._followed += 1

    def _begin(self, started: ChainStarted) -> None:
        self._begun.add(started.index)
        if started.replaces in self._places:
            self._places[self._places.index(started.replaces)] = started.index
        elif started.index not in self._places:
            self._places.append(started.index)
