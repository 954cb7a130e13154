"""A vote goes on after an interruption at any line, and loses and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from minireason import (
    Chain,
    ChainAnswered,
    ChainCancelled,
    ChainDelta,
    ChainStarted,
    Decided,
    Reasoner,
    Solution,
    SolveChanges,
    Solved,
    SolveEvent,
    VoteChanged,
)
from minireason.testing import ScriptedBackend, ScriptedReply
from minireason.voting.chain import chain_seed
from tests.interrupted import Act, every_line

REPLIES = [
    ScriptedReply(thinking="So it goes on and on.", answer="\\boxed{1}", confidence=1.0),
    ScriptedReply(thinking="Round and round.", thinking_end="loop", answer="\\boxed{1}"),
    ScriptedReply(thinking="Yes.", answer="\\boxed{2}", confidence=3.0),
    ScriptedReply(thinking="I do not know.", answer="So be it."),
    ScriptedReply(thinking="Well, well.", answer="\\boxed{2}", confidence=2.0),
    ScriptedReply(thinking="It is hard. " * 8, answer="\\boxed{1}"),
    ScriptedReply(thinking="In the place of the second.", answer="\\boxed{2}", confidence=1.0),
]


def backend() -> ScriptedBackend:
    """A chain's reply is that of its seed, however often a stream is opened for it."""
    by_seed = {chain_seed(1, index): reply for index, reply in enumerate(REPLIES)}
    made = ScriptedBackend(lambda _messages: by_seed[made.requests[-1].settings.seed or 0])
    return made


def events_of(
    act: Callable[[Act], object], options: SolveChanges, *, polled: bool = False
) -> list[SolveEvent]:
    """Everything that a vote says, with each call made again after an interruption."""
    model, events = backend(), []
    stream = Reasoner(model).solve_stream("Well?", seed=1, samples=6, parallel=2, **options)

    def one() -> None:
        events.append(next(stream))  # in one line: nothing comes between

    def some() -> None:
        events.extend(stream.poll())

    while not (events and isinstance(events[-1], Solved)):
        act(some if polled else one)
    assert not stream.poll()
    assert model.running == 0
    assert next(stream, None) is None
    return events


def chains_of(events: list[SolveEvent]) -> dict[int, Chain]:
    """The chains that were told, without their times; asserts that each was told once and whole."""
    started = [event.index for event in events if isinstance(event, ChainStarted)]
    ended = [event.chain for event in events if isinstance(event, ChainAnswered | ChainCancelled)]
    said = dict.fromkeys(started, "")
    over: set[int] = set()
    for event in events:
        if isinstance(event, ChainDelta):
            assert event.index not in over, "nothing is said after a chain's end"
            said[event.index] += event.delta.text
        elif isinstance(event, ChainAnswered):
            over.add(event.chain.index)
            assert said[event.chain.index] == event.chain.thinking + event.chain.text
    assert len(set(started)) == len(started)
    assert sorted(started) == sorted(chain.index for chain in ended)
    assert [type(event) for event in events[-2:]].count(Solved) == 1
    return {chain.index: replace(chain, total_s=0) for chain in ended}


def votes_of(solution: Solution) -> dict[str, list[int]]:
    return {candidate.key: sorted(candidate.chains) for candidate in solution.candidates}


FILES = [
    *("voting/solve.py", "voting/record.py", "voting/outcome.py", "voting/ballot.py"),
    "backends/pool.py",
]


@pytest.mark.parametrize(
    ("file", "polled"),
    [*((file, True) for file in FILES), ("voting/solve.py", False), ("backends/pool.py", False)],
)
def test_at_any_line_with_all_chains(file: str, polled: bool) -> None:
    options: SolveChanges = {"stop": "none"}
    wanted = events_of(lambda act: act(), options)
    solution = solution_of(wanted)
    tried = 0
    for events in every_line(file, lambda act: events_of(act, options, polled=polled)):
        assert chains_of(events) == chains_of(wanted)
        assert votes_of(solution_of(events)) == votes_of(solution)
        assert solution_of(events).tokens == solution.tokens
        kinds = [type(event) for event in events]
        assert (kinds.count(VoteChanged), kinds.count(Decided)) == (5, 1)
        tried += 1
    assert tried > 15


@pytest.mark.parametrize(
    "options",
    [
        {"stop": "lead"},
        pytest.param({"stop": "none", "budget_tokens": 40}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("file", FILES)
def test_at_any_line_with_an_early_end(file: str, options: SolveChanges) -> None:
    """How far the stopped chains came may be otherwise, and which of them that is."""
    wanted = solution_of(events_of(lambda act: act(), options))
    for events in every_line(file, lambda act: events_of(act, options)):
        solution, chains = solution_of(events), chains_of(events)
        assert solution.answer == wanted.answer
        assert solution.stopped_because == wanted.stopped_because
        assert solution.tokens.generated == sum(chain.tokens for chain in chains.values())
        assert solution.tokens.generated <= options.get("budget_tokens", 1000)
        voted = sorted(index for chains in votes_of(solution).values() for index in chains)
        assert voted == sorted(
            chain.index for chain in chains.values() if chain.answer and not chain.replaced
        )


def solution_of(events: list[SolveEvent]) -> Solution:
    assert isinstance(events[-1], Solved)
    return events[-1].solution


def test_what_it_says_without_one() -> None:
    events = events_of(lambda act: act(), {"stop": "lead"})
    kinds = [type(event) for event in events]
    assert (kinds.count(ChainStarted), kinds.count(ChainAnswered)) == (7, 6)
    assert (kinds.count(VoteChanged), kinds.count(Decided), kinds.count(Solved)) == (4, 1, 1)
    solution = solution_of(events)
    assert (solution.answer, solution.stopped_because) == ("2", "lead")
    assert [chain.replaced for chain in solution.chains].count(True) == 1
