"""Stopping a vote early: it changes nothing (lead) or little (beta), however long chains are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.settings import StopRule, VoteSettings
from minireason.voting.stopping import NoVote, Place, decided, leader_stays, worth_at_once
from tests.voting.ballots import CHAINS, Chains, ballot_of, winner

R, ABSTAINED = NoVote.RUNNING, NoVote.ABSTAINED
BETA = VoteSettings(stop="beta")


def places(chains: Chains) -> list[Place]:
    ballot = ballot_of(chains)
    groups = [ballot.group(index) for index in range(len(chains))]
    return [ABSTAINED if group is None else group for group in groups]


def stopped_after(chains: Chains, settings: VoteSettings) -> int:
    """How many chains ended before the vote did, one after the other."""
    for ended in range(len(chains) + 1):
        if decided(places(chains[:ended]), len(chains), settings):
            return ended
    raise AssertionError("never decided")


@given(CHAINS)
def test_lead_equals_the_full_vote_with_ties_and_none(chains: Chains) -> None:
    ended = stopped_after(chains, VoteSettings(stop="lead"))
    assert winner(chains[:ended]) == winner(chains)


@given(CHAINS)
def test_none_runs_all_and_no_rule_stops_later_than_a_laxer_one(chains: Chains) -> None:
    rules: tuple[StopRule, ...] = ("none", "lead", "beta")
    ended = {rule: stopped_after(chains, VoteSettings(stop=rule)) for rule in rules}
    assert ended["none"] == len(chains)
    assert ended["beta"] <= ended["lead"] <= ended["none"]


@pytest.mark.parametrize(
    ("started", "planned", "because"),
    [
        ([], 1, None),
        ([0], 1, "all_done"),
        ([ABSTAINED, ABSTAINED], 2, "all_done"),
        ([0] * 5 + [R] * 4, 9, "lead"),
        ([0] * 5 + [R] * 4, 10, None),
        ([0, 0, 0, 1, R, R], 6, None),
        ([0, 0, 0, 1, ABSTAINED, R], 6, "lead"),
    ],
)
def test_lead(started: Sequence[Place], planned: int, because: str | None) -> None:
    assert decided(started, planned, VoteSettings(stop="lead")) == because


@pytest.mark.parametrize(
    ("started", "because"),
    [
        ([0, 0, 0, 0], None),
        ([0, 0, 0, 0, 0], "beta"),
        ([0, 0, 0, 0, 1], None),
        ([0] * 6 + [1], "beta"),
        ([0] * 5 + [ABSTAINED] * 2, "beta"),
    ],
)
def test_beta_asks_whether_the_leader_would_stay(
    started: Sequence[Place], because: str | None
) -> None:
    assert decided(started, 16, BETA) == because


def test_a_chain_that_runs_counts_against_the_leader() -> None:
    """Of the first chains only the short ones may have ended."""
    assert decided([0] * 5 + [R] * 11, 16, BETA) == "beta", "those after the first do not count"
    assert decided([R] * 8 + [0] * 8, 16, BETA) is None
    assert decided([0, 0, R, 0, 0, 0, 0, *[R] * 9], 16, BETA) == "beta"
    assert decided([0, 0, R, 0, 0, 0, R, *[R] * 9], 16, BETA) is None


@given(st.lists(st.sampled_from([0, 1, 2, ABSTAINED, R]), min_size=1, max_size=24), st.data())
def test_what_the_running_chains_come_to_takes_no_decision_back(
    started: list[Place], data: st.DataObject
) -> None:
    """So it does not matter whether short or long chains have ended so far."""
    planned = len(started) + data.draw(st.integers(0, 8))
    if decided(started, planned, BETA) != "beta":
        return
    leader = leader_of(started)
    ends = st.sampled_from([0, 1, 2, ABSTAINED])
    later = [data.draw(ends) if place is R else place for place in started]
    if leader_of(later) == leader:
        assert decided(later, planned, BETA) is not None


def leader_of(started: Sequence[Place]) -> int | None:
    """Who has more votes than any other, None if nobody has."""
    votes = Counter(place for place in started if isinstance(place, int)).most_common(2)
    return votes[0][0] if len(votes) == 1 or votes[0][1] > votes[1][1] else None


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_leader_stays_is_the_beta_binomial(first: int, second: int, to_come: int) -> None:
    def ways(gained: int) -> int:
        lost = to_come - gained
        return math.comb(first + gained, gained) * math.comb(second + lost, lost)

    half = Fraction(first + second + to_come, 2)
    won = sum(ways(gained) for gained in range(to_come + 1) if first + gained > half)
    drawn = sum(ways(gained) for gained in range(to_come + 1) if first + gained == half)
    whole = sum(ways(gained) for gained in range(to_come + 1))
    exact = (won + Fraction(drawn, 2)) / whole
    assert leader_stays(first, second, to_come) == pytest.approx(float(exact), abs=1e-9)


@pytest.mark.parametrize("samples", [8, 16, 32])
def test_beta_changes_at_most_one_vote_in_a_hundred(samples: int) -> None:
    """Exactly, for two answers and every probability of the one that stops the vote.

    The worst is assumed: the other answer never stops it, whatever its first chains say.
    """
    needed = [
        next((f for f in range(n // 2 + 1, n + 1) if _stops(f, n - f, samples)), n + 1)
        for n in range(samples + 1)
    ]
    risks = [_changed(needed, samples, share / 50) for share in range(10, 35)]
    assert 0.0 < max(risks) <= 0.01


def _stops(first: int, second: int, samples: int) -> bool:
    """Whether so many votes stop it that did not before: the leader's came last."""
    return decided([1] * second + [0] * first, samples, BETA) in ("beta", "lead")


def _changed(needed: Sequence[int], samples: int, share: float) -> float:
    """The probability that the vote stops for an answer that does not win the full vote."""
    still, changed = {0: 1.0}, 0.0
    for count in range(1, samples + 1):
        after: dict[int, float] = {}
        for votes, probability in still.items():
            after[votes] = after.get(votes, 0.0) + probability * (1 - share)
            after[votes + 1] = after.get(votes + 1, 0.0) + probability * share
        still = {votes: p for votes, p in after.items() if votes < needed[count]}
        changed += sum(
            p * _loses(votes, samples - count, samples, share)
            for votes, p in after.items()
            if votes >= needed[count]
        )
    return changed


def _loses(votes: int, to_come: int, samples: int, share: float) -> float:
    """The probability of less than half of the votes in the end; a draw counts half."""
    lost = 0.0
    for gained in range(to_come + 1):
        ahead = 2 * (votes + gained) - samples
        if ahead > 0:
            break
        ways = math.comb(to_come, gained) * share**gained * (1 - share) ** (to_come - gained)
        lost += ways * (0.5 if ahead == 0 else 1.0)
    return lost


def test_min_votes() -> None:
    assert decided([0] * 5, 16, VoteSettings(stop="beta", min_votes=6)) is None
    assert decided([0] * 6, 16, VoteSettings(stop="beta", min_votes=6)) == "beta"
    assert decided([0] * 5, 9, VoteSettings(stop="beta", min_votes=9)) == "lead", (
        "what is certain needs no minimum"
    )


@pytest.mark.parametrize(
    ("planned", "settings", "at_once"),
    [
        (8, VoteSettings(stop="lead"), 4),
        (8, VoteSettings(stop="none"), 8),
        (9, VoteSettings(), 5),
        (3, VoteSettings(), 3),
    ],
)
def test_worth_at_once(planned: int, settings: VoteSettings, at_once: int) -> None:
    assert worth_at_once(planned, settings) == at_once
