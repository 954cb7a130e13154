"""Chains of a vote as hypothesis draws them, and the ballot that they make."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from minireason.voting.ballot import Ballot, of_answers

Chains = list[tuple[str | None, float | None]]
CHAINS = st.lists(
    st.tuples(st.sampled_from(["1", "2", "3", None]), st.one_of(st.none(), st.floats(0, 20))),
    min_size=1,
    max_size=16,
)


def ballot_of(chains: Sequence[tuple[str | None, float | None]]) -> Ballot[str]:
    ballot = of_answers()
    for index, (text, confidence) in enumerate(chains):
        if text is not None:
            ballot.add(index, text, confidence)
    return ballot


def winner(chains: Sequence[tuple[str | None, float | None]]) -> str | None:
    candidates = ballot_of(chains).candidates()
    return candidates[0].answer if candidates else None
