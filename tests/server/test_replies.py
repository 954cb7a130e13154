"""What runs for a call."""

from __future__ import annotations

from typing import Any

import pytest

from minireason.backends.base import StreamOptions
from minireason.backends.scripted import ScriptedBackend, ScriptedReply
from minireason.errors import BadSetting
from minireason.messages import Message
from minireason.server.replies import Replies, open_replies
from minireason.settings import Changes, VoteChanges
from minireason.wire.call import Call

QUESTION = [Message(role="user", content="1+1?")]
WRITTEN = ScriptedReply(thinking="So it is two " * 20, answer="The answer is 2.")


def opened(backend: ScriptedBackend, changes: Changes | None = None, **fields: Any) -> Replies:
    call = Call(model=None, messages=QUESTION, changes=changes or Changes(), **fields)
    return open_replies(backend, call, StreamOptions())


def run(replies: Replies) -> None:
    while not replies.ended:
        replies.poll()


def test_choices_have_seeds_that_follow_one_another() -> None:
    replies = opened(ScriptedBackend(WRITTEN), Changes(seed=2**32 - 2), choices=3)
    run(replies)
    assert [reply.seed for reply in replies.outcome.replies] == [2**32 - 2, 0, 1]


@pytest.mark.parametrize("vote", [None, VoteChanges(samples=2)])
@pytest.mark.parametrize(
    ("changes", "budget"),
    [
        (Changes(thinking_budget=10**9), 99),
        (Changes(thinking_budget=50, max_tokens=50), 49),
    ],
)
def test_a_budget_that_has_no_room_is_clamped_and_told(
    vote: VoteChanges | None, changes: Changes, budget: int
) -> None:
    replies = opened(ScriptedBackend(WRITTEN, n_ctx=100), changes, vote=vote)
    run(replies)
    assert replies.outcome.clamped_budget == budget


def test_what_is_wrong_otherwise_is_no_budget_s_fault() -> None:
    with pytest.raises(BadSetting, match="temperature"):
        opened(ScriptedBackend(WRITTEN), Changes(temperature=1000, thinking_budget=5))


@pytest.mark.parametrize("parallel", ["auto", 8, 2])
def test_a_vote_leaves_half_of_the_places_to_others(parallel: Any) -> None:
    backend = ScriptedBackend(WRITTEN, max_parallel=8)
    vote = VoteChanges(samples=16, parallel=parallel, stop="none")
    replies = opened(backend, vote=vote)
    most = 0
    while not replies.ended:
        replies.poll()
        most = max(most, backend.running)
    assert 1 < most <= (2 if parallel == 2 else 4)
    solution = replies.outcome.solution
    assert solution is not None
    assert (solution.answer, len(solution.chains)) == ("2", 16)
