"""How votes are written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from minireason.events import AnswerDelta, ThinkingDelta
from minireason.voting.solution import (
    Candidate,
    Chain,
    ChainAnswered,
    ChainCancelled,
    ChainDelta,
    ChainStarted,
    Decided,
    Solution,
    SolveEvent,
    SolveTokens,
    VoteChanged,
)
from minireason.wire.call import Outcome
from minireason.wire.openai.chat_wire import ChatStyle
from minireason.wire.openai.vote_wire import VoteWire
from tests.wire.openai.reading import ORIGIN, json_of

CHAIN = Chain(
    index=1,
    seed=5,
    temperature=0.6,
    thinking="So",
    text="It is 2.",
    answer="2",
    key="2",
    finish="stop",
    thinking_end="natural",
    tokens=9,
    confidence=1.5,
    total_s=0.5,
    answer_tokens=4,
)
CANDIDATE = Candidate("2", "2", 1, 1.0, (1,), 1.5)
SOLUTION = Solution(
    model="tiny",
    answer="2",
    parsed=None,
    agreement=1.0,
    candidates=(CANDIDATE,),
    chains=(CHAIN,),
    best=1,
    stopped_because="lead",
    planned=4,
    parallel=2,
    seed=3,
    tokens=SolveTokens(prompt=20, generated=9, cancelled=0),
    total_s=0.5,
    notes=(),
)
NOTHING = Solution(
    model="tiny",
    answer=None,
    parsed=None,
    agreement=0.0,
    candidates=(),
    chains=(),
    best=None,
    stopped_because="budget_tokens",
    planned=4,
    parallel=2,
    seed=3,
    tokens=SolveTokens(prompt=20, generated=0, cancelled=0),
    total_s=0.5,
    notes=("No chain ended.",),
)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (ChainStarted(1, 5), {"type": "chain_started", "index": 1, "seed": 5}),
        (
            ChainDelta(1, ThinkingDelta("So"), 2),
            {"type": "chain_delta", "index": 1, "kind": "thinking", "text": "So", "tokens": 2},
        ),
        (
            ChainDelta(1, AnswerDelta("It"), 3),
            {"type": "chain_delta", "index": 1, "kind": "answer", "text": "It", "tokens": 3},
        ),
        (
            ChainAnswered(CHAIN),
            {
                "type": "chain_answered",
                "index": 1,
                "answer": "2",
                "text": "It is 2.",
                "tokens": 9,
                "thinking_end": "natural",
            },
        ),
        (ChainCancelled(CHAIN), {"type": "chain_cancelled", "index": 1}),
        (
            VoteChanged((CANDIDATE,), 3),
            {
                "type": "vote",
                "candidates": [{"answer": "2", "votes": 1, "share": 1.0, "chains": [1]}],
                "open": 3,
            },
        ),
        (Decided("lead"), {"type": "decided", "because": "lead"}),
    ],
)
def test_an_event_of_a_vote_is_a_chunk_with_an_empty_delta(
    event: SolveEvent, told: dict[str, Any]
) -> None:
    (chunk,) = json_of(VoteWire(ORIGIN, ChatStyle()).event(0, event))
    assert chunk["minireason"] == {"event": told}
    assert [choice["delta"] for choice in chunk["choices"]] == [{}]


def test_a_vote_ends_with_the_text_of_the_chain_that_stands_for_it() -> None:
    wire = VoteWire(ORIGIN, ChatStyle(include_usage=True))
    thought, answer, last, usage = json_of(wire.end(Outcome(solution=SOLUTION)))
    assert thought["choices"][0]["delta"] == {"reasoning_content": "So", "reasoning": "So"}
    assert answer["choices"][0]["delta"] == {"content": "It is 2."}
    assert last["choices"][0]["finish_reason"] == "stop"
    told = last["minireason"]
    assert told["candidates"] == [
        {"answer": "2", "votes": 1, "share": 1.0, "chains": [1], "confidence": 1.5}
    ]
    assert told["answer"] == "2"
    assert told["agreement"] == 1.0
    assert told["stopped_because"] == "lead"
    assert told["chains"] == [
        {
            "index": 1,
            "seed": 5,
            "answer": "2",
            "text": "It is 2.",
            "thinking": "So",
            "tokens": 9,
            "thinking_end": "natural",
            "finish": "stop",
        }
    ]
    assert usage["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "completion_tokens_details": {"reasoning_tokens": 5},
    }


def test_a_whole_vote_says_what_its_stream_does() -> None:
    whole: Any = VoteWire(ORIGIN, ChatStyle()).whole(Outcome(solution=SOLUTION))
    *_, last = json_of(VoteWire(ORIGIN, ChatStyle()).end(Outcome(solution=SOLUTION)))
    assert whole["minireason"] == last["minireason"]
    assert whole["choices"][0]["message"] == {
        "role": "assistant",
        "content": "It is 2.",
        "reasoning_content": "So",
        "reasoning": "So",
    }


def test_a_vote_that_came_to_nothing_ran_out() -> None:
    whole: Any = VoteWire(ORIGIN, ChatStyle()).whole(Outcome(solution=NOTHING))
    (choice,) = whole["choices"]
    assert choice["message"] == {"role": "assistant", "content": ""}
    assert choice["finish_reason"] == "length"
    assert whole["minireason"]["answer"] is None
    (last,) = json_of(VoteWire(ORIGIN, ChatStyle()).end(Outcome(solution=NOTHING)))
    assert last["choices"] == [
        {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}
    ]


def test_of_chains_that_were_all_cut_off_the_first_is_shown() -> None:
    cut = replace(CHAIN, answer=None, finish="length")
    solution = replace(NOTHING, chains=(cut,))
    whole: Any = VoteWire(ORIGIN, ChatStyle()).whole(Outcome(solution=solution))
    assert whole["choices"][0]["message"]["content"] == CHAIN.text
    assert whole["choices"][0]["finish_reason"] == "length"
