"""Runs on the built-in model: chains of many items in one batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import minireason
from minireason import (
    Chain,
    ContextFull,
    FinishReason,
    Reasoner,
    Reply,
    Settings,
    ThinkingEnd,
)
from minireason.backends.pool import Refused
from minireason.engine.base import Batch
from minireason.evaluation.items import Item
from minireason.evaluation.run import Missing, Runner
from minireason.evaluation.trace_format import Run
from minireason.reasoning.reply import ReplyBuilder
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.local import local

ITEMS = [Item(line, f"What is {line} + {line}?", str(2 * line)) for line in range(2, 6)]
RUN = Run("tiny", "", 1, None, {}, "set", "", "")


@pytest.fixture(scope="module")
def tiny() -> Iterator[Reasoner]:
    with minireason.load("tiny", n_threads=1) as reasoner:
        yield reasoner


def missing(samples: int) -> Missing:
    return [(item, index, False) for item in ITEMS for index in range(samples)]


def chains(runner: Runner, samples: int, parallel: int) -> dict[tuple[int, int], list[Chain]]:
    """The chains that were run, by item and index; a list, since one may be tried again."""
    tries: dict[tuple[int, int], list[Chain]] = {}
    for ended in runner.chains(missing(samples), parallel):
        if ended:
            assert isinstance(ended, tuple), ended
            item, chain = ended
            tries.setdefault((item.number, chain.index), []).append(chain)
    return tries


def test_the_batch_is_full_across_items(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    decode = local(tiny).context.decode

    def counted(batch: Batch) -> bool:
        rows.append(sum(batch.outputs))
        return decode(batch)

    monkeypatch.setattr(local(tiny).context, "decode", counted)
    runner = Runner(tiny.backend, RUN, {}, vote=True)
    ended = chains(runner, 2, 6)
    assert len(ended) == 8
    assert runner.tokens == sum(chain.tokens for tries in ended.values() for chain in tries)
    assert max(rows) == 6, "chains of three items at a time"
    assert all(
        chain.answer == str(2 * line) and chain.confidence for (line, _), (chain,) in ended.items()
    )


def test_seeds_belong_to_places_and_a_rest_is_run_as_the_whole(tiny: Reasoner) -> None:
    whole = chains(Runner(tiny.backend, RUN, {"temperature": 1.3}, vote=True), 2, 1)
    assert len({tries[0].seed for tries in whole.values()}) == 8
    rest = [(item, index, again) for item, index, again in missing(2) if item.number > 3]
    runner = Runner(tiny.backend, RUN, {"temperature": 1.3}, vote=True)
    for ended in runner.chains(rest, 1):
        if isinstance(ended, tuple):
            first = whole[ended[0].number, ended[1].index][0]
            assert replace(ended[1], total_s=0) == replace(first, total_s=0)
    other = chains(
        Runner(tiny.backend, replace(RUN, seed=2), {"temperature": 1.3}, vote=True), 1, 4
    )
    assert not {tries[0].seed for tries in other.values()} & {
        tries[0].seed for tries in whole.values()
    }


@pytest.mark.parametrize("vote", [True, False])
def test_chains_that_go_round_in_circles_are_replaced_in_a_vote(
    tiny: Reasoner, vote: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ReplyBuilder.make

    def looping(self: ReplyBuilder, reason: FinishReason, _end: ThinkingEnd | None) -> Reply:
        return make(self, reason, "loop")

    monkeypatch.setattr(ReplyBuilder, "make", looping)
    ended = chains(Runner(tiny.backend, RUN, {"temperature": 0.5}, vote=vote), 2, 3)
    assert len(ended) == 8
    for tries in ended.values():
        assert [chain.replaced for chain in tries] == ([True, False] if vote else [True])
        assert [chain.temperature for chain in tries] == ([0.5, 0.6] if vote else [0.5])
        assert len({chain.seed for chain in tries}) == len(tries)


def test_cancelling_frees_all_places(tiny: Reasoner) -> None:
    runner = Runner(tiny.backend, RUN, {}, vote=True)
    ended = 0
    for result in runner.chains(missing(4), 3):
        ended += result is not None
        if ended:
            runner.cancel()
    assert 1 <= ended < 16
    assert not local(tiny).scheduler.sequences


def test_items_that_cannot_be_asked_are_named_and_the_rest_runs(tiny: Reasoner) -> None:
    long = Item(9, "1 + " * 1100, "0")
    runner = Runner(tiny.backend, RUN, {}, vote=False)
    came = list(filter(None, runner.chains([(long, 0, False), *missing(1), (long, 1, False)], 2)))
    refused = [result for result in came if isinstance(result, Refused)]
    assert [result.job.item.number for result in refused] == [9, 9]
    assert all(isinstance(result.error, ContextFull) for result in refused)
    assert len(came) == 6
    assert runner.finished


def test_the_models_own_settings_are_those_of_its_chains(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local(tiny), "defaults", Settings(temperature=1.2, max_tokens=20))
    ended = chains(Runner(tiny.backend, RUN, {"max_tokens": 30}, vote=False), 1, 2)
    chosen = [chain for tries in ended.values() for chain in tries]
    assert {chain.temperature for chain in chosen} == {1.2}
    assert 20 < max(chain.tokens for chain in chosen) <= 30, "what is said goes before"


def test_eval_measures_on_the_chains_that_it_runs() -> None:
    """So each stream that was opened is a chain of the run."""
    backend = ScriptedBackend(ScriptedReply(thinking="It is. " * 400, answer="\\boxed{4}"))
    runner = Runner(backend, RUN, {}, vote=True)
    ended = [entry for entry in runner.chains(missing(4), "auto") if isinstance(entry, tuple)]
    assert len(ended) == len(backend.requests) == 16
    assert runner.tokens == sum(chain.tokens for _, chain in ended)
    assert 1 <= runner.parallel <= 16
    assert backend.running == 0
