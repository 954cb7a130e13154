"""How many chains of a vote run at a time, on the built-in model."""

from __future__ import annotations

from pathlib import Path

import pytest

import minireason
from minireason import ChainDelta, ChainStarted, Reasoner
from minireason.backends import concurrency
from minireason.engine.base import Batch
from minireason.settings import SolveChanges
from tests.local import local
from tests.voting.sampled import sampled_tokens

QUESTION = "What is 9 * 13?"


def test_parallel_is_reduced_to_what_memory_holds() -> None:
    with minireason.load("tiny", n_ctx=1280, n_threads=1) as reasoner:
        solution = reasoner.solve(QUESTION, samples=8, parallel=8, max_tokens=600, seed=1)
    assert (solution.parallel, solution.answer) == (2, "117")
    assert {chain.thinking_end for chain in solution.chains if chain.finish == "stop"} == {
        "natural"
    }
    assert any("no room for 8" in note for note in solution.notes)


@pytest.mark.slow
def test_many_chains_have_more_room_than_one_context_which_is_given_back(tiny_path: Path) -> None:
    with minireason.load(str(tiny_path), n_threads=1) as reasoner:
        solution = reasoner.solve(
            "What is 47 * 86?", samples=16, parallel=16, stop="none", seed=1, instruction=""
        )
        assert solution.tokens.generated > 4096
        assert solution.parallel == 16
        assert local(reasoner).scheduler.cache.shape == (1, 1024)
        assert solution.candidates[0].votes >= 14


def test_parallel_auto_measures_once(tiny: Reasoner) -> None:
    assert 1 <= tiny.solve(QUESTION, samples=8).parallel <= 4
    assert tiny.solve(QUESTION, samples=1).parallel == 1


@pytest.mark.parametrize("changes", [{"max_tokens": 1}, {"budget_tokens": 10}, {"budget_s": 0.5}])
def test_parallel_auto_is_four_where_it_cannot_be_measured(
    changes: SolveChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        decoded: list[int] = []
        decode = local(reasoner).context.decode

        def counted(batch: Batch) -> bool:
            decoded.append(sum(batch.outputs))
            return decode(batch)

        monkeypatch.setattr(local(reasoner).context, "decode", counted)
        solution = reasoner.solve(QUESTION, samples=8, stop="none", seed=1, **changes)
        assert solution.parallel == 4
        known = concurrency.throughput(reasoner.backend)
        assert not known.rates, "what was measured on streams that ended is not kept"
        if "max_tokens" not in changes:
            assert sum(decoded) <= solution.tokens.generated + len(solution.chains), (
                "but for the ends, each is counted"
            )


def test_tokens_generated_while_auto_measures_count(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled = sampled_tokens(monkeypatch)
    with minireason.load("tiny", n_threads=1) as reasoner:
        stream = reasoner.solve_stream(QUESTION, samples=8, stop="none", seed=1)
        events = list(stream)
    solution = stream.solution
    assert solution.tokens.generated == len(sampled) == sum(c.tokens for c in solution.chains)
    assert len(solution.chains) == 8
    first = next(index for index, event in enumerate(events) if isinstance(event, ChainDelta))
    assert sum(isinstance(event, ChainStarted) for event in events[:first]) == 1, (
        "it began with one chain, to be measured, and that one is in the vote"
    )


def test_cancel_is_looked_at_while_auto_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        decode, steps = local(reasoner).context.decode, 0
        stream = reasoner.solve_stream(QUESTION, samples=8)

        def cancelling(batch: Batch) -> bool:
            nonlocal steps
            steps += 1
            stream.cancel()
            return decode(batch)

        monkeypatch.setattr(local(reasoner).context, "decode", cancelling)
        list(stream)
        assert stream.solution.stopped_because == "cancelled"
        assert steps == 1
