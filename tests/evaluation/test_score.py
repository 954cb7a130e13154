from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason import Chain, answers
from minireason.evaluation.items import Item
from minireason.evaluation.score import Sample, Vote, majority, orders, reliability, samples
from minireason.voting.ballot import of_answers
from tests.evaluation.draw import CHAINS, sample


@given(CHAINS)
def test_groups_vote_as_their_answers_do(chains: list[Sample]) -> None:
    vote, ballot = Vote(chains), of_answers()
    for index, chain in enumerate(chains):
        vote.add(index)
        if chain.group is not None:
            ballot.add(index, str(chain.group), chain.confidence)
        candidates = ballot.candidates()
        assert vote.right == (bool(candidates) and candidates[0].answer == "0")
        assert vote.votes == ballot.votes


@given(CHAINS)
def test_majority_of_one_is_the_share_of_right_chains(chains: list[Sample]) -> None:
    assert majority(chains, orders(len(chains)))[0] == pytest.approx(
        fmean(chain.right for chain in chains)
    )


@given(CHAINS)
def test_majority_of_all_is_the_vote(chains: list[Sample]) -> None:
    vote = Vote(chains)
    for index in range(len(chains)):
        vote.add(index)
    tie = len(vote.votes) > 1 and vote.votes[0] == vote.votes[1]
    if not tie:  # that the order could decide
        assert majority(chains, orders(len(chains)))[-1] == vote.right


@given(st.integers(1, 64))
def test_every_chain_is_in_every_place_equally_often(count: int) -> None:
    ordered = orders(count)
    assert all(sorted(order) == list(range(count)) for order in ordered)
    for place in range(count):
        assert len(set(Counter(order[place] for order in ordered).values())) == 1
    assert len(ordered) >= min(64, 2 ** (count - 1)) or count == 3


def test_few_chains_are_put_into_all_orders() -> None:
    assert sorted(orders(4)) == sorted(itertools.permutations(range(4)))


def test_majority_has_no_bias() -> None:
    """Over many items it comes to what all orders of each come to."""
    rng = random.Random(3)
    estimated, exact = [], []
    every = list(itertools.permutations(range(6)))
    for _ in range(60):
        chains = [sample(rng.choice([0, 0, 1, 2, None]), confidence=rng.random()) for _ in range(6)]
        estimated.append(majority(chains, orders(6)))
        exact.append(majority(chains, every))
    for ours, true in zip(zip(*estimated, strict=True), zip(*exact, strict=True), strict=True):
        assert fmean(ours) == pytest.approx(fmean(true), abs=0.015)


def chain(index: int, text: str | None, *, tokens: int = 10, replaced: bool = False) -> Chain:
    key = None if text is None else answers.key(text)
    return Chain(
        index, 1, 0.6, "", "", text, key, "stop", "natural", tokens, 1.0, 0.1, replaced=replaced
    )


def test_samples_are_grouped_by_value_and_held_against_the_answer() -> None:
    item = Item(1, "half of one?", "1/2")
    tries = [[chain(0, "0.5")], [chain(1, "2")], [chain(2, "\\frac12")], [chain(3, None)]]
    scored = samples(item, tries)
    assert [one.right for one in scored] == [True, False, True, False]
    assert scored[0].group == scored[2].group != scored[1].group
    assert scored[3].group is None


def test_a_chain_that_was_replaced_counts_alone_and_its_replacement_votes() -> None:
    item = Item(1, "1 + 1?", "2")
    (one,) = samples(item, [[chain(0, "3", tokens=100, replaced=True), chain(0, "2", tokens=20)]])
    assert (one.passed, one.right, one.tokens) == (False, True, 120)
    (waits,) = samples(item, [[replace(chain(0, "2"), confidence=None)]])
    assert (waits.passed, waits.confidence) == (True, None)


def test_structured_answers_are_compared_as_json() -> None:
    item = Item.of(1, {"question": "q", "answer": {"x": 1, "y": [2]}})
    tries = [
        [chain(0, '{"y": [2], "x": 1}')],
        [chain(1, '{"x":1,"y":[2]}')],
        [chain(2, '{"x": 1, "y": [3]}')],
    ]
    scored = samples(item, tries, structured=True)
    assert [one.right for one in scored] == [True, True, False]
    assert scored[0].group == scored[1].group != scored[2].group
    (named,) = samples(
        Item.of(1, {"question": "q", "answer": "Rome"}), [[chain(0, '"Rome"')]], structured=True
    )
    assert named.right


def test_reliability() -> None:
    sure, unsure, silent = (
        [sample(0)] * 4,
        [sample(1), sample(1), sample(0), sample(2)],
        [sample(None)],
    )
    half, full = reliability([sure, unsure, sure, silent, [sample(1)] * 2])
    assert (half.low, half.high, half.items, half.agreement, half.right) == (0.5, 0.6, 1, 0.5, 0.0)
    assert (full.low, full.high, full.items, full.agreement) == (0.9, 1.0, 3, 1.0)
    assert full.right == pytest.approx(2 / 3)
