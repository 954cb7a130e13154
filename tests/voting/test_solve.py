"""Votes on the built-in model, with the real library underneath."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

import minireason
from minireason import (
    BadSetting,
    ChainAnswered,
    ChainCancelled,
    ChainDelta,
    ChainStarted,
    ContextFull,
    Decided,
    Reasoner,
    Reply,
    Solved,
    SolveEvent,
    ThinkingDelta,
    UsageError,
    VoteChanged,
)
from minireason.reasoning.reply import ReplyBuilder
from minireason.settings import SolveChanges
from tests.local import local
from tests.scripted import Scripted

QUESTION = "What is 9 * 13?"


def test_a_vote_stops_as_soon_as_it_is_decided(tiny: Reasoner) -> None:
    solution = tiny.solve(QUESTION, seed=1, parallel=4, stop="beta")
    assert (solution.answer, solution.stopped_because) == ("117", "beta")
    assert solution.candidates[0].votes >= 4
    assert solution.agreement == solution.candidates[0].share
    assert solution.best in solution.candidates[0].chains
    assert len(solution.chains) <= solution.planned == 8
    ended = [chain for chain in solution.chains if chain.finish != "cancelled"]
    assert all(chain.confidence and chain.key == "117" for chain in ended)
    assert "boxed{117}" in ended[0].text
    assert ended[0].thinking.startswith("9 * 13")


def test_events_add_up_to_the_solution(tiny: Reasoner) -> None:
    with tiny.solve_stream(
        QUESTION, seed=2, samples=6, parallel=3, temperature=1.3, stop="lead"
    ) as stream:
        with pytest.raises(UsageError, match="has not ended"):
            _ = stream.solution
        events = list(stream)
    assert isinstance(events[-1], Solved)
    solution = events[-1].solution
    assert solution is stream.solution
    started = [event.index for event in events if isinstance(event, ChainStarted)]
    ended = {
        event.chain.index: event.chain
        for event in events
        if isinstance(event, ChainAnswered | ChainCancelled)
    }
    assert started == sorted(ended) == [chain.index for chain in solution.chains]
    assert most_open(events) == 3
    thoughts = dict.fromkeys(started, "")
    for event in events:
        if isinstance(event, ChainDelta) and isinstance(event.delta, ThinkingDelta):
            thoughts[event.index] += event.delta.text
    assert {index: chain.thinking for index, chain in ended.items() if chain.finish == "stop"} == {
        index: thoughts[index] for index, chain in ended.items() if chain.finish == "stop"
    }
    assert [event.because for event in events if isinstance(event, Decided)] == [
        solution.stopped_because
    ]
    votes = [event for event in events if isinstance(event, VoteChanged)]
    assert votes[-1].candidates == solution.candidates
    assert sum(candidate.votes for candidate in solution.candidates) == len(votes)


def most_open(events: list[SolveEvent]) -> int:
    now = most = 0
    for event in events:
        now += isinstance(event, ChainStarted)
        now -= isinstance(event, ChainAnswered | ChainCancelled)
        most = max(most, now)
    return most


def test_the_seed_repeats_the_solution(tiny: Reasoner) -> None:
    """The same chains; their texts may differ in the end.

    Batches of other shapes have other last bits.
    """
    wild: SolveChanges = {
        "samples": 5,
        "parallel": 3,
        "stop": "none",
        "temperature": 3.0,
        "top_p": 1.0,
        "max_tokens": 200,
    }
    first = tiny.solve(QUESTION, **wild)
    again = tiny.solve(QUESTION, **wild, seed=first.seed)
    assert [(chain.index, chain.seed) for chain in again.chains] == [
        (chain.index, chain.seed) for chain in first.chains
    ]
    assert again.seed == first.seed
    assert len({chain.seed for chain in first.chains}) == len(first.chains)
    assert len({chain.thinking for chain in first.chains}) > 1


def test_one_chain_alone_repeats_with_its_own_seed(tiny: Reasoner) -> None:
    solution = tiny.solve(QUESTION, seed=4, samples=2, parallel=1, stop="none", temperature=1.2)
    for chain in solution.chains:
        reply = tiny.ask(QUESTION, seed=chain.seed, temperature=1.2)
        assert (reply.thinking, reply.answer) == (chain.thinking, chain.text)


def test_no_answer_is_none_and_said(tiny: Reasoner) -> None:
    solution = tiny.solve(QUESTION, samples=3, max_tokens=5)
    assert (solution.answer, solution.agreement, solution.candidates, solution.best) == (
        None,
        0.0,
        (),
        None,
    )
    assert solution.stopped_because == "all_done"
    assert "no vote" in solution.notes[0]


def test_without_a_comparable_answer_the_most_confident_chain_is_shown(tiny: Reasoner) -> None:
    solution = tiny.solve("Hello!", samples=3, seed=1, temperature=1.0)
    assert solution.answer is None
    ended = {
        chain.index: chain.confidence or 0
        for chain in solution.chains
        if chain.finish == "stop" and chain.text
    }
    assert solution.best == max(ended, key=lambda index: ended[index])
    assert "most confident" in solution.notes[0]


def test_code_does_not_vote_and_the_most_confident_chain_is_shown(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "The answer is:\n```python\ndef f(x):\n    return x + {}\n```\nIt adds."
    script = "".join(
        f"Hm, I think.\n</think>\n\n{text.format(number)}<｜end▁of▁sentence｜>"
        for number in range(4)
    )
    Scripted(tiny, monkeypatch, script)
    solution = tiny.solve("Write f.", samples=4, parallel=1, seed=1)
    assert [chain.text for chain in solution.chains] == [text.format(number) for number in range(4)]
    assert (solution.answer, solution.candidates) == (None, ())
    confidences = [chain.confidence or 0.0 for chain in solution.chains]
    assert solution.best == confidences.index(max(confidences))
    assert f"Shown is chain {solution.best + 1}, the most confident one." in solution.notes[0]


def test_the_last_events_come_once(tiny: Reasoner) -> None:
    events = list(tiny.solve_stream(QUESTION, seed=1, samples=4, parallel=2))
    kinds = [type(event).__name__ for event in events]
    assert (kinds.count("Decided"), kinds.count("Solved"), kinds[-1]) == (1, 1, "Solved")


def test_cancel_and_close_keep_the_vote_so_far(tiny: Reasoner) -> None:
    stream = tiny.solve_stream(QUESTION, seed=1, samples=6, parallel=2, stop="none")
    for event in stream:
        if isinstance(event, VoteChanged):
            stream.cancel()
    assert stream.solution.stopped_because == "cancelled"
    assert stream.solution.answer == "117"
    with tiny.solve_stream(QUESTION, seed=1, samples=6, parallel=2, stop="none") as closed:
        next(event for event in closed if isinstance(event, VoteChanged))
    assert closed.solution.stopped_because == "cancelled"
    assert sum(candidate.votes for candidate in closed.solution.candidates) >= 1
    assert not local(tiny).scheduler.sequences, "all places are free again"


def test_a_chain_that_goes_round_in_circles_is_replaced_once(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ReplyBuilder.make

    def looping(
        self: ReplyBuilder, reason: minireason.FinishReason, _end: minireason.ThinkingEnd | None
    ) -> Reply:
        return make(self, reason, "loop")

    monkeypatch.setattr(ReplyBuilder, "make", looping)
    stream = tiny.solve_stream(
        QUESTION, seed=1, samples=2, parallel=2, stop="none", temperature=0.5
    )
    replaced = {event.index: event.replaces for event in stream if isinstance(event, ChainStarted)}
    assert replaced == {0: None, 1: None, 2: 0, 3: 1} or replaced == {0: None, 1: None, 2: 1, 3: 0}
    chains = stream.solution.chains
    assert [chain.replaced for chain in chains] == [True, True, False, False]
    assert [chain.temperature for chain in chains] == [0.5, 0.5, 0.6, 0.6]
    assert stream.solution.candidates[0].votes == 2, "the replacements vote, the replaced do not"


def test_a_dropped_vote_frees_its_chains(tiny: Reasoner) -> None:
    gc.disable()
    try:
        stream = tiny.solve_stream(QUESTION, seed=1, samples=6, parallel=3, stop="none")
        next(event for event in stream if isinstance(event, ChainDelta))
        assert len(local(tiny).scheduler.sequences) == 3
        del stream
        assert not local(tiny).scheduler.sequences
    finally:
        gc.enable()


def test_a_vote_goes_on_after_an_interruption(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: SolveChanges = {"seed": 6, "samples": 3, "parallel": 3, "stop": "none"}
    whole = tiny.solve(QUESTION, **settings)
    sample, calls = local(tiny).context.sample, 0

    def interrupted(*draw: Any) -> int:
        nonlocal calls
        calls += 1
        if calls % 40 == 0:
            raise KeyboardInterrupt
        return sample(*draw)

    monkeypatch.setattr(local(tiny).context, "sample", interrupted)
    stream = tiny.solve_stream(QUESTION, **settings)
    while True:
        try:
            next(stream)
        except KeyboardInterrupt:
            continue
        except StopIteration:
            break
    assert calls > 80
    assert [chain.text for chain in stream.solution.chains] == [c.text for c in whole.chains]
    assert stream.solution.candidates[0].votes == whole.candidates[0].votes


def test_a_chain_that_ends_in_the_last_step_votes(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four say the same and end in one step; the first two that are read decide the vote."""
    answer = "</think>\n\nThe answer is \\boxed{117}.<｜end▁of▁sentence｜>"
    script = local(tiny).model.vocabulary.tokenize(f"So.\n{answer}", parse_special=True)
    monkeypatch.setattr(
        local(tiny).context, "sample", lambda _chain, _row, draw, _mask: script[draw]
    )
    solution = tiny.solve(QUESTION, samples=4, parallel=4, seed=1, stop="lead", loop_check=False)
    assert solution.candidates[0].votes == 4
    assert {chain.finish for chain in solution.chains} == {"stop"}
    assert solution.tokens.cancelled == 0


def test_greedy_chains_are_one_chain(tiny: Reasoner) -> None:
    solution = tiny.solve(QUESTION, temperature=0)
    assert (len(solution.chains), solution.answer) == (1, "117")
    assert "the same" in solution.notes[0]


def test_other_models_get_the_model_cards_sentence(smollm2_path: Path) -> None:
    with minireason.load(str(smollm2_path), n_threads=1) as reasoner:
        with_it = reasoner.solve("What is 2 + 2?", samples=1, max_tokens=2)
        without = reasoner.solve("What is 2 + 2?", samples=1, max_tokens=2, instruction="")
    assert with_it.tokens.prompt > without.tokens.prompt + 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples", 0),
        ("samples", 1.5),
        ("parallel", 0),
        ("parallel", "many"),
        ("stop", "never"),
        ("stop", ("END",)),
        ("min_votes", 0),
        ("stop_threshold", 2),
        ("budget_tokens", 0),
        ("budget_s", -1),
        ("instruction", 5),
        ("temperature", -1),
        ("sampels", 3),
    ],
)
def test_wrong_settings_are_refused_before_anything_runs(
    tiny: Reasoner, name: str, value: object
) -> None:
    with pytest.raises(BadSetting) as caught:
        tiny.solve_stream(QUESTION, **{name: value})  # type: ignore[misc]
    assert caught.value.name == name


def test_questions_that_cannot_be_asked(tiny: Reasoner) -> None:
    with pytest.raises(UsageError, match="no question"):
        tiny.solve_stream("  ")
    with pytest.raises(ContextFull):
        tiny.solve_stream("1 + " * 1100)
    assert not local(tiny).scheduler.sequences
