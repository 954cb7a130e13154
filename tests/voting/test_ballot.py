"""The vote: classes of answers, ties, and the confidence of a chain."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from minireason import Candidate
from minireason.voting.ballot import Ballot, of_answers, tail_confidence
from tests.interrupted import Act, every_line
from tests.voting.ballots import CHAINS, Chains, ballot_of, winner


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

    ballot = Ballot(near, str)
    for index, text in enumerate(["5", "6", "7", "4"]):
        ballot.add(index, text)
    assert [(candidate.answer, candidate.chains) for candidate in ballot.candidates()] == [
        ("5", (0, 1, 3)),
        ("7", (2,)),
    ]


def test_a_vote_that_is_cast_again_counts_once() -> None:
    ballot = ballot_of([("1", 1.0), ("2", None)])
    before = ballot.candidates()
    ballot.add(0, "1", 1.0)
    assert ballot.candidates() == before
    assert (ballot.group(0), ballot.group(1), ballot.group(2)) == (0, 1, None)


def test_an_interruption_at_any_line_leaves_a_vote_that_can_be_cast_again() -> None:
    def cast(act: Callable[[Act], object]) -> tuple[Candidate, ...]:
        ballot = of_answers()
        for index, text in enumerate(["0.5", "7", "\\frac{1}{2}", "7.0", "1/2"]):
            act(lambda index=index, text=text: ballot.add(index, text, index / 4))
        return ballot.candidates()

    wanted = ballot_of([("0.5", 0), ("7", 0.25), ("\\frac{1}{2}", 0.5), ("7.0", 0.75), ("1/2", 1)])
    results = list(every_line("voting/ballot.py", cast))
    assert len(results) > 15
    assert set(results) == {wanted.candidates()}


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
