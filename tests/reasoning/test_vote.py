"""The vote: classes, ties, and that stopping early changes nothing (lead) or little (beta)."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.reasoning.vote import Ballot, decided, leader_is_favourite, tail_confidence
from minireason.settings import StopRule, VoteSettings

Chains = list[tuple[str | None, float | None]]
CHAINS = st.lists(
    st.tuples(st.sampled_from(["1", "2", "3", None]), st.one_of(st.none(), st.floats(0, 20))),
    min_size=1,
    max_size=16,
)


def ballot_of(chains: Sequence[tuple[str | None, float | None]]) -> Ballot:
    ballot = Ballot()
    for index, (text, confidence) in enumerate(chains):
        if text is not None:
            ballot.add(index, text, confidence)
    return ballot


def winner(chains: Sequence[tuple[str | None, float | None]]) -> str | None:
    candidates = ballot_of(chains).candidates()
    return candidates[0].answer if candidates else None


def stopped_after(chains: Chains, settings: VoteSettings) -> int:
    """How many chains ended before the vote did."""
    for ended in range(len(chains) + 1):
        if decided(ballot_of(chains[:ended]).votes, len(chains) - ended, settings):
            return ended
    raise AssertionError("never decided")


@given(CHAINS)
def test_lead_equals_the_full_vote_with_ties_and_none(chains: Chains) -> None:
    ended = stopped_after(chains, VoteSettings(stop="lead"))
    assert winner(chains[:ended]) == winner(chains)


@given(CHAINS)
def test_none_runs_all_and_no_rule_stops_later_than_a_laxer_one(chains: Chains) -> None:
    ended = {
        rule: stopped_after(chains, VoteSettings(stop=rule)) for rule in ("none", "lead", "beta")
    }
    assert ended["none"] == len(chains)
    assert ended["beta"] <= ended["lead"] <= ended["none"]


@pytest.mark.parametrize(
    ("first", "second", "probability"),
    [
        (3, 0, 0.9375),
        (4, 0, 0.9688),
        (5, 1, 0.9375),
        (6, 1, 0.9648),
        (7, 0, 0.9961),
        (8, 2, 0.9673),
    ],
)
def test_beta_golden_values(first: int, second: int, probability: float) -> None:
    assert leader_is_favourite(first, second) == pytest.approx(probability, abs=5e-5)
    stops = decided([first, second], 100, VoteSettings(stop="beta")) == "beta"
    assert stops == (probability >= 0.95)


@given(st.integers(0, 30), st.integers(0, 30))
def test_beta_is_the_integral(first: int, second: int) -> None:
    steps = 4000
    weights = [(x / steps) ** first * (1 - x / steps) ** second for x in range(steps + 1)]
    upper = (weights[steps // 2] + weights[-1]) / 2 + sum(weights[steps // 2 + 1 : -1])
    whole = (weights[0] + weights[-1]) / 2 + sum(weights[1:-1])
    assert leader_is_favourite(first, second) == pytest.approx(upper / whole, abs=1e-4)


def test_beta_at_eight_chains_is_the_majority() -> None:
    """With eight chains it only adds the stop at 4 to 0, which at worst turns a tie into a win of the first to lead."""
    for bits in range(2**8):
        chains: Chains = [("12"[bits >> index & 1], None) for index in range(8)]
        ended = stopped_after(chains, VoteSettings(stop="beta"))
        votes = ballot_of(chains).votes
        if len(votes) == 1 or votes[0] != votes[1]:
            assert winner(chains[:ended]) == winner(chains)


@pytest.mark.parametrize(
    ("rate", "samples", "wrong_full", "wrong_beta", "mean"),
    [(0.6, 40, 0.102, 0.124, 24.2), (0.8, 40, 0.0, 0.002, 8.7)],
)
def test_beta_on_two_answers(
    rate: float, samples: int, wrong_full: float, wrong_beta: float, mean: float
) -> None:
    """Probabilities of the rarer answer winning, as exact dynamic programming gives them."""
    rng, runs = random.Random(1), 2000
    wrong, ended = {"none": 0, "beta": 0}, 0
    for _ in range(runs):
        votes = [rng.random() < rate for _ in range(samples)]
        for rule in wrong:
            count = next(
                n
                for n in range(samples + 1)
                if decided(split(votes[:n]), samples - n, VoteSettings(stop=_rule(rule)))
            )
            wrong[rule] += 2 * sum(votes[:count]) < count
            ended += count if rule == "beta" else 0
    assert wrong["none"] / runs == pytest.approx(wrong_full, abs=0.04)
    assert wrong["beta"] / runs == pytest.approx(wrong_beta, abs=0.04)
    assert ended / runs == pytest.approx(mean, rel=0.06)


def _rule(name: str) -> StopRule:
    return "beta" if name == "beta" else "none"


def split(votes: list[bool]) -> list[int]:
    return sorted((sum(votes), len(votes) - sum(votes)), reverse=True)


def test_min_votes() -> None:
    assert decided([4, 0], 10, VoteSettings(stop="beta")) == "beta"
    assert decided([4, 0], 10, VoteSettings(stop="beta", min_votes=5)) is None
    assert decided([5, 0], 4, VoteSettings(stop="beta", min_votes=9)) == "lead", (
        "what is certain needs no minimum"
    )
    assert decided([], 1, VoteSettings()) is None
    assert decided([], 0, VoteSettings()) == "all_done"


def test_the_same_answer_written_differently_is_one_candidate() -> None:
    leader, other = ballot_of(
        [("0.5", None), ("7", None), ("\\frac{1}{2}", 3.0), ("1/2", 2.0)]
    ).candidates()
    assert (leader.answer, leader.votes, leader.share, leader.chains, leader.confidence) == (
        "0.5",
        3,
        0.75,
        (0, 2, 3),
        3.0,
    )
    assert (other.answer, other.votes) == ("7", 1)


def test_classes_are_held_together_by_their_first_answer() -> None:
    def near(first: str, second: str) -> bool:
        return abs(int(first) - int(second)) <= 1

    ballot = Ballot(near)
    for index, text in enumerate(["5", "6", "7", "4"]):
        ballot.add(index, text)
    assert [(candidate.answer, candidate.chains) for candidate in ballot.candidates()] == [
        ("5", (0, 1, 3)),
        ("7", (2,)),
    ]


def test_confidence_breaks_ties_only() -> None:
    assert winner([("1", 1.0), ("2", 9.0), ("1", 1.0)]) == "1"
    assert winner([("1", 1.0), ("2", 9.0)]) == "2"
    assert winner([("1", None), ("2", None)]) == "1", "then who came first"


@given(CHAINS, st.randoms())
def test_the_number_of_votes_does_not_depend_on_their_order(
    chains: Chains, rng: random.Random
) -> None:
    shuffled = list(chains)
    rng.shuffle(shuffled)
    assert ballot_of(shuffled).votes == ballot_of(chains).votes


def test_tail_confidence() -> None:
    assert tail_confidence([]) is None
    assert tail_confidence([2.0, 4.0]) == 3.0
    assert tail_confidence([0.0] * 744 + [1.0] * 256) == 1.0, "at least 256 tokens"
    assert tail_confidence([0.0] * 1500 + [1.0] * 500) == 1.0, "a quarter"
    assert tail_confidence([0.0] * 20_000 + [1.0] * 2048) == 1.0, "at most 2,048"
