"""What a rule of early stopping would have cost and answered, from chains that ran to their ends.

Chains run B at a time and decode in step, one token each, as they do in a batch. So the numbers of
their tokens say in which order they end, when the vote is decided, and how many tokens the ones
that are stopped had by then. Every decoded token is charged.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

from minireason.evaluation import intervals
from minireason.evaluation.intervals import Estimate
from minireason.evaluation.score import Sample, Vote, orders
from minireason.settings import StopRule, VoteSettings
from minireason.voting.solution import StoppedBecause
from minireason.voting.stopping import NoVote, Place, decided, worth_at_once

ORDERS = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """A vote that was replayed."""

    right: bool
    """Whether its answer was right."""

    tokens: int
    """All tokens that were decoded."""

    cancelled: int
    """Those of chains that were stopped."""

    steps: int
    """How many times the batch was decoded."""

    because: StoppedBecause
    """Why it ended."""


def replay(chains: Sequence[Sample], settings: VoteSettings, parallel: int) -> Outcome:
    """The vote of these chains, started in this order, `parallel` at a time."""
    vote = Vote(chains)
    started: list[Place] = []
    running: list[tuple[int, int]] = []
    now = ended = 0
    because: StoppedBecause | None = None
    while because is None:
        while len(started) < len(chains) and len(running) < parallel:
            heapq.heappush(running, (now + chains[len(started)].tokens, len(started)))
            started.append(NoVote.RUNNING)
        now = running[0][0]
        while running and running[0][0] == now:  # all that end in a step vote before anybody looks
            index = heapq.heappop(running)[1]
            group = chains[index].group
            started[index] = NoVote.ABSTAINED if group is None else group
            vote.add(index)
            ended += chains[index].tokens
        because = decided(started, len(chains), settings)
    cancelled = sum(chains[index].tokens - (end - now) for end, index in running)
    return Outcome(vote.right, ended + cancelled, cancelled, now, because)


@dataclass(frozen=True, slots=True)
class Policy:
    """A stopping rule over all items."""

    stop: StopRule
    """The rule."""

    samples: int
    """Chains that were planned for each item."""

    parallel: int
    """Chains at a time."""

    accuracy: Estimate
    """The share of right answers."""

    tokens: float
    """Tokens of an item, the mean."""

    cancelled: float
    """Those of chains that were stopped, the mean."""

    steps: float
    """Decodes of the batch for an item, the mean."""

    share: float
    """The tokens as a share of what running all chains takes."""

    difference: Estimate
    """The accuracy less that of running all."""


def compare(items: Sequence[Sequence[Sample]], parallel: int | None = None) -> list[Policy]:
    """Every stopping rule at several numbers of chains.

    All items have the same number of chains. `parallel` None is what `solve` plans to stop early.
    Each item is replayed with its chains in several orders, the same for all rules.
    """
    whole = len(items[0])
    ordered = orders(whole, ORDERS)
    ordered = ordered[:: max(1, len(ordered) // ORDERS)]
    policies = []
    for count in sizes(whole):
        at_once = min(count, parallel or worth_at_once(count, VoteSettings()))
        by_rule: dict[StopRule, list[_Means]] = {}
        for rule in get_args(StopRule):
            settings = VoteSettings(samples=count, stop=rule)
            by_rule[rule] = [_replayed(chains, ordered, settings, at_once) for chains in items]
        policies += [
            _policy(rule, count, at_once, means, by_rule["none"]) for rule, means in by_rule.items()
        ]
    return policies


def sizes(whole: int) -> list[int]:
    """The numbers of chains to compare: all, and powers of two from the fewest that stop a vote."""
    powers = [2**power for power in range(whole.bit_length())]
    return [*(count for count in powers if VoteSettings().min_votes <= count < whole), whole]


@dataclass(frozen=True, slots=True)
class _Means:
    """Means over the orders of one item."""

    right: float
    tokens: float
    cancelled: float
    steps: float


def _replayed(
    chains: Sequence[Sample],
    ordered: Sequence[Sequence[int]],
    settings: VoteSettings,
    parallel: int,
) -> _Means:
    """The means of an item over these orders of its chains, of which as many vote as planned."""
    outcomes = [
        replay([chains[index] for index in order[: settings.samples]], settings, parallel)
        for order in ordered
    ]
    return _Means(
        right=fmean(outcome.right for outcome in outcomes),
        tokens=fmean(outcome.tokens for outcome in outcomes),
        cancelled=fmean(outcome.cancelled for outcome in outcomes),
        steps=fmean(outcome.steps for outcome in outcomes),
    )


def _policy(
    rule: StopRule, count: int, parallel: int, means: Sequence[_Means], full: Sequence[_Means]
) -> Policy:
    right, tokens = [item.right for item in means], fmean(item.tokens for item in means)
    whole = fmean(item.tokens for item in full)
    return Policy(
        stop=rule,
        samples=count,
        parallel=parallel,
        accuracy=intervals.share(right),
        tokens=tokens,
        cancelled=fmean(item.cancelled for item in means),
        steps=fmean(item.steps for item in means),
        share=tokens / whole if whole else 1.0,
        difference=intervals.difference(right, [item.right for item in full]),
    )
