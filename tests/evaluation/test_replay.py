"""Replayed votes: worked examples, and what holds for every set of chains."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.evaluation.replay import Outcome, compare, replay, sizes
from minireason.evaluation.score import Sample
from minireason.settings import StopRule, VoteSettings
from tests.evaluation.draw import CHAINS, sample

PARALLEL = st.integers(1, 16)


def rules(chains: list[Sample], parallel: int) -> dict[str, Outcome]:
    every: tuple[StopRule, ...] = ("none", "lead", "beta")
    return {
        rule: replay(chains, VoteSettings(samples=len(chains), stop=rule), parallel)
        for rule in every
    }


def test_a_worked_example() -> None:
    """Two at a time: 0 ends at 10 and 2 starts, 1 ends at 20 and 3 starts.

    2 ends at 40 and makes it 3 to 0 with one open, which has 20 tokens.
    """
    chains = [sample(0, tokens) for tokens in (10, 20, 30, 40)]
    assert replay(chains, VoteSettings(stop="lead"), 2) == Outcome(
        right=True, tokens=80, cancelled=20, steps=40, because="lead"
    )
    assert replay(chains, VoteSettings(stop="none"), 2) == Outcome(
        right=True, tokens=100, cancelled=0, steps=60, because="all_done"
    )


def test_short_chains_vote_first_and_decide_nothing() -> None:
    """The trap of every early stop: here the wrong answers are the short ones."""
    chains = [sample(1, 10), sample(0, 90)] * 4 + [sample(0, 90)]
    for rule, outcome in rules(chains, 9).items():
        assert outcome.right, rule


def test_votes_of_one_step_are_counted_together() -> None:
    chains = [sample(0, 10)] * 8
    assert rules(chains, 8)["beta"] == Outcome(
        right=True, tokens=80, cancelled=0, steps=10, because="all_done"
    )


def test_the_trailing_tokens_of_chains_that_are_stopped_are_charged() -> None:
    chains = [*[sample(0, 10)] * 4, sample(1, 1000)]
    assert rules(chains, 5)["lead"] == Outcome(
        right=True, tokens=50, cancelled=10, steps=10, because="lead"
    )


@given(CHAINS, PARALLEL)
def test_running_all_takes_all_tokens_in_the_slots_there_are(
    chains: list[Sample], parallel: int
) -> None:
    outcome = rules(chains, parallel)["none"]
    assert outcome.tokens == sum(chain.tokens for chain in chains)
    assert outcome.cancelled == 0
    assert outcome.tokens <= outcome.steps * parallel
    assert max(chain.tokens for chain in chains) <= outcome.steps <= outcome.tokens


@given(CHAINS, PARALLEL)
def test_lead_answers_as_the_whole_vote_and_a_laxer_rule_never_costs_more(
    chains: list[Sample], parallel: int
) -> None:
    outcomes = rules(chains, parallel)
    assert outcomes["lead"].right == outcomes["none"].right
    for field in ("tokens", "steps"):
        beta, lead, none = (getattr(outcomes[rule], field) for rule in ("beta", "lead", "none"))
        assert beta <= lead <= none


@given(CHAINS, PARALLEL)
def test_no_slot_does_two_things_at_once(chains: list[Sample], parallel: int) -> None:
    for outcome in rules(chains, parallel).values():
        assert 0 <= outcome.cancelled <= outcome.tokens <= outcome.steps * parallel


@given(CHAINS)
def test_one_at_a_time_cancels_nothing(chains: list[Sample]) -> None:
    for outcome in rules(chains, 1).values():
        assert (outcome.cancelled, outcome.tokens) == (0, outcome.steps)


def test_compare() -> None:
    rng = random.Random(4)
    items = [
        [sample(0 if rng.random() < 0.8 else 1, rng.randint(50, 150)) for _ in range(16)]
        for _ in range(50)
    ]
    policies = {(policy.samples, policy.stop): policy for policy in compare(items)}
    assert list(policies) == [
        (count, rule) for count in (4, 8, 16) for rule in ("none", "lead", "beta")
    ]
    assert [policies[count, "beta"].parallel for count in (4, 8, 16)] == [4, 4, 8]
    for count in (4, 8, 16):
        none, lead, beta = (policies[count, rule] for rule in ("none", "lead", "beta"))
        assert (none.share, none.difference.value, lead.difference.value) == (1, 0, 0)
        assert lead.accuracy == none.accuracy
        assert beta.tokens <= lead.tokens <= none.tokens
        assert beta.share == pytest.approx(beta.tokens / none.tokens)
    assert policies[16, "none"].tokens == pytest.approx(
        sum(chain.tokens for chains in items for chain in chains) / 50
    )
    assert policies[16, "beta"].share < 0.8
    assert {policy.parallel for policy in compare(items, parallel=2)} == {2}


def test_compare_is_the_same_twice() -> None:
    items = [[sample(index % 2, 10 + index) for index in range(6)]] * 3
    assert compare(items) == compare(items)


@pytest.mark.parametrize(
    ("whole", "compared"),
    [(1, [1]), (3, [3]), (4, [4]), (8, [4, 8]), (12, [4, 8, 12]), (64, [4, 8, 16, 32, 64])],
)
def test_sizes(whole: int, compared: list[int]) -> None:
    assert sizes(whole) == compared
