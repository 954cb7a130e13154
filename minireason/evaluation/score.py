"""What an item's chains are worth: alone, in a vote, and how far agreement can be believed."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from minireason import answers
from minireason.evaluation.items import Item
from minireason.voting import ballot
from minireason.voting.ballot import canonical
from minireason.voting.solution import Chain

ORDERS = 64
"""A vote of k is averaged over about this many orders of the chains.

Over all, if there are no more.
"""

BINS = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """A chain as a vote sees it."""

    group: int | None
    """The number of its answer: those of an item that are the same have one; None does not vote."""

    right: bool
    """Whether its answer is right."""

    passed: bool
    """Whether the first try was right: the one that counts where nobody votes."""

    tokens: int
    """All that were decoded for it, a first try that went round in circles included."""

    confidence: float | None = None
    """The model's confidence in the answer."""


def samples(
    item: Item, tries: Sequence[Sequence[Chain]], *, structured: bool = False
) -> tuple[Sample, ...]:
    """The samples of an item.

    Each is a chain and, if that went round in circles, the one that replaced it. Structured answers
    are the same if they are the same JSON.
    """
    votes = ballot.of_answers(structured=structured)
    for index, chains in enumerate(tries):
        answer = chains[-1].answer
        if answer is not None:
            votes.add(index, answer)
    groups = {
        index: group
        for group, candidate in enumerate(votes.candidates())
        for index in candidate.chains
    }
    known: dict[str | None, bool] = {None: False}
    same = _same_json if structured else answers.same

    def right(chain: Chain) -> bool:
        if chain.key not in known:
            known[chain.key] = chain.answer is not None and same(chain.answer, item.answer)
        return known[chain.key]

    return tuple(
        Sample(
            groups.get(index),
            right(chains[-1]),
            right(chains[0]),
            sum(chain.tokens for chain in chains),
            chains[-1].confidence,
        )
        for index, chains in enumerate(tries)
    )


def _same_json(answer: str, right: str) -> bool:
    """Whether an answer is the right one's JSON, or the right one as a string in JSON."""
    return canonical(answer) in (canonical(right), canonical(json.dumps(right)))


class Vote:
    """The majority vote over samples whose answers were compared before."""

    def __init__(self, chains: Sequence[Sample]) -> None:
        self._chains, self._ballot = chains, ballot.of_groups()

    def add(self, index: int) -> None:
        """Let a chain vote, unless it came to no answer."""
        chain = self._chains[index]
        if chain.group is not None:
            self._ballot.add(index, chain.group, chain.confidence)

    @property
    def votes(self) -> list[int]:
        """Votes of each group, most first."""
        return self._ballot.votes

    @property
    def right(self) -> bool:
        """Whether the leader is the right answer, as the first of its chains wrote it."""
        first = self._ballot.first_for_leader
        return first is not None and self._chains[first].right


def orders(count: int, most: int = ORDERS) -> list[tuple[int, ...]]:
    """Orders of `count` chains: all of them, if they are at most `most`.

    Else about as many rotations of random ones, so that each chain is in each place equally often.
    """
    if math.factorial(min(count, 20)) <= most:
        return list(itertools.permutations(range(count)))
    return list(itertools.islice(_rotations(count), -(-most // count) * count))


def _rotations(count: int) -> Iterator[tuple[int, ...]]:
    rng = random.Random(count)
    while True:
        order = rng.sample(range(count), count)
        for start in range(count):
            yield tuple(order[start:] + order[:start])


def majority(chains: Sequence[Sample], ordered: Sequence[Sequence[int]]) -> list[float]:
    """majority@k for k = 1, 2, ...: how often a vote of the first k chains is right.

    As a share of the orders, which are drawn evenly, so that this estimates a vote of any k of the
    chains without bias.
    """
    right = [0] * len(chains)
    for order in ordered:
        vote = Vote(chains)
        for place, index in enumerate(order):
            vote.add(index)
            right[place] += vote.right
    return [count / len(ordered) for count in right]


@dataclass(frozen=True, slots=True)
class Bin:
    """Items whose vote was won with a share of the votes between two bounds."""

    low: float
    """The lower bound."""

    high: float
    """The upper bound."""

    items: int
    """How many they are."""

    agreement: float
    """Their mean share."""

    right: float
    """The share of them that is right."""


def reliability(items: Sequence[Sequence[Sample]]) -> list[Bin]:
    """Agreement against correctness, in tenths (a reliability diagram).

    Items without any vote are left out.
    """
    bins: dict[int, list[tuple[float, bool]]] = {}
    for chains in items:
        vote = Vote(chains)
        for index in range(len(chains)):
            vote.add(index)
        if vote.votes:
            agreement = vote.votes[0] / sum(vote.votes)
            number = min(BINS - 1, math.floor(agreement * BINS))
            bins.setdefault(number, []).append((agreement, vote.right))
    return [
        Bin(number / BINS, (number + 1) / BINS, len(votes), *map(fmean, zip(*votes, strict=True)))
        for number, votes in sorted(bins.items())
    ]
