"""Votes over a server that loses replies in the middle: such a chain is asked again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from minireason import ChainStarted, Reasoner, ServerError
from tests.backends.remote.conftest import connected, misbehaving
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, refused, reply

__all__ = ["connected", "misbehaving"]

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]
LOST = Answer([chunk(content="It is "), chunk(content="\\boxed{")])
WHOLE = reply(chunk(content="It is "), chunk(content="\\boxed{4}."))


def test_a_chain_that_is_lost_is_asked_again(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(LOST, WHOLE, LOST, LOST, *[WHOLE] * 20)
    with connected(server.url).solve_stream("2 + 2?", samples=4, parallel=2, stop="none") as vote:
        started = [event.index for event in vote if isinstance(event, ChainStarted)]
    assert sorted(started) == [0, 1, 2, 3]
    assert [chain.answer for chain in vote.solution.chains] == ["4"] * 4
    assert (vote.solution.answer, vote.solution.agreement) == ("4", 1.0)
    assert len(server.bodies) == 7
    seeds = [body["seed"] for body in server.bodies]
    assert set(seeds) == {chain.seed for chain in vote.solution.chains}


def test_a_chain_that_is_lost_too_often_ends_the_vote(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(*[LOST] * 20)
    with pytest.raises(ServerError, match="lost in the middle"):
        connected(server.url).solve("2 + 2?", samples=2, parallel=1)
    assert len(server.bodies) == 5


def test_a_server_that_is_gone_ends_the_vote_and_keeps_what_there_was(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(WHOLE, LOST, *[refused(503, Retry_After="0")] * 20)
    vote = connected(server.url).solve_stream("2 + 2?", samples=4, parallel=1, stop="none")
    with pytest.raises(ServerError, match="status 503"):
        list(vote)
    vote.close()
    assert (vote.solution.answer, vote.solution.stopped_because) == ("4", "cancelled")
