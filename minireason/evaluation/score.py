"""What an item's chains are worth: alone, in a vote of any size, and how far to believe a vote."""

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
"""A vote of k is averaged over about this many orders of the chains, or all if there are fewer."""

BINS = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """A chain as a vote sees it.

    `group` numbers the answers of an item that are the same, None does not vote. `tokens` are all
    that were decoded for it, a first try that went round in circles included. `passed` says whether
    the first try was right: the one that counts where nobody votes.
    """

    group: int | None
    right: bool
    passed: bool
    tokens: int
    confidence: float | None = None


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


def _same_json(answer: str, wanted: str) -> bool:
    """Whether an answer is the JSON wanted, or the string wanted in JSON."""
    return canonical(answer) in (canonical(wanted), canonical(json.dumps(wanted)))


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


def orders(count: int, wanted: int = ORDERS) -> list[tuple[int, ...]]:
    """Orders of `count` chains: all, if that is at most `wanted`.

    Else rotations of random ones, so that each chain is in each place equally often.
    """
    if math.factorial(min(count, 20)) <= wanted:
        return list(itertools.permutations(range(count)))
    return list(itertools.islice(_rotations(count), -(-wanted // count) * count))


def _rotations(count: int) -> Iterator[tuple[int, ...]]:
    rng = random.Random(count)
    while True:
        order = rng.sample(range(count), count)
        for start in range(count):
            yield tuple(order[start:] + order[:start])


def majority(chains: Sequence[Sample], ordered: Sequence[Sequence[int]]) -> list[float]:
    """majority@k for k = 1, 2, ...: how often a vote of the first k chains is right.

    That is a share of the orders. They are drawn evenly, so that this estimates a vote of any k of
    the chains without bias.
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
    """The items whose vote was won with a share of the votes from `low` to `high`.

    `agreement` is the mean of these shares, `right` the share of the items that are right.
    """

    low: float
    high: float
    items: int
    agreement: float
    right: float


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
        Bin(number / BINS, (number + 1) / BINS, len(rated), *map(fmean, zip(*rated, strict=True)))
        for number, rated in sorted(bins.items())
    ]
