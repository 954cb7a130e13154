"""The measurements on the built-in model, and what is left of them when they end early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import minireason
from minireason import Reasoner
from minireason.backends.local import LocalBackend
from minireason.benchmark import plot
from minireason.benchmark.report import Machine, Report, beside_bandwidth
from minireason.benchmark.run import THOUGHT_TOKENS, Run
from minireason.benchmark.track import Limit, Times, Track
from minireason.errors import EngineError, UsageError
from minireason.models import cost, gguf, shape, store

SHAPE = shape.of(gguf.check(store.find("tiny").path))
MACHINE = Machine("", "", 1, 1, 0, "f16", flash_attention=False, repack=False, n_ubatch=128)


def run_on(
    reasoner: Reasoner, allowed_s: float, on_step: Callable[[Run], None] = lambda _run: None
) -> Run:
    assert isinstance(reasoner.backend, LocalBackend)
    empty = Report("tiny", MACHINE, load_s=1.0, trial_run=False)
    return Run(reasoner.backend, SHAPE, empty, allowed_s, on_step)


def test_one_chain_is_measured_as_far_as_its_context_goes() -> None:
    with minireason.load("tiny", n_threads=1, n_ctx=1536) as reasoner:
        run = run_on(reasoner, 60)
        report = run.run()
    assert [row.prompt_tokens for row in report.prefill] == [512, 1280]
    assert [row.context_tokens for row in report.decode] == [0, 1024, 1280]
    assert report.left_out == ()
    assert report.reply
    assert report.reply.thinking_tokens > 0
    assert report.memory
    assert report.memory.planned_context_tokens == 1536
    assert report.thought
    assert report.thought.tokens == 1536 // 2
    assert run.left_s == 0
    first, read = report.decode[0], cost.read_bytes(SHAPE)
    assert read
    assert first.read_bytes_per_s == pytest.approx(first.tokens_per_s * read, rel=0.2)
    shares = [row.bandwidth_share for row in beside_bandwidth(report, 1e12).decode]
    assert shares == [pytest.approx((row.read_bytes_per_s or 0) / 1e12) for row in report.decode]


@pytest.mark.slow
def test_all_is_measured(tiny: Reasoner) -> None:
    report = run_on(tiny, 3600).run()
    assert [row.context_tokens for row in report.decode] == [0, 1024, 3840]
    assert [row.chains for row in report.chains] == [1, 2, 4, 8, 16]
    # A busy machine has seen enough sooner, by the time.
    assert all(0 < row.tokens <= max(128, 64 * row.chains) for row in report.chains)
    assert all(row.tokens % row.chains == 0 for row in report.chains)
    assert report.thought
    assert report.thought.tokens == THOUGHT_TOKENS


def test_what_would_take_too_long_is_left_out_and_said(tiny: Reasoner) -> None:
    report = run_on(tiny, 1e-6).run()
    assert report.reply
    assert not report.decode
    assert report.left_out[0].startswith("decode at 0 tokens of context: it would take about")
    assert len(report.left_out) == 4 + 4


def test_what_cannot_go_on_costs_none_of_the_others(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Track.run

    def run(track: Track, chains: int, context_tokens: int, limit: Limit) -> Times:
        if chains > 1:
            raise EngineError("There is no memory for that.")
        return measure(track, chains, min(context_tokens, 512), limit)

    monkeypatch.setattr(Track, "run", run)
    report = run_on(tiny, 60).run()
    assert report.left_out[0] == "2 chains side by side: There is no memory for that."
    assert len(report.left_out) == 4
    assert [row.context_tokens for row in report.decode] == [0, 1024, 3840]


def test_nothing_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="allow more --seconds"):
        plot.draw(Report("tiny", MACHINE, load_s=1.0, trial_run=False), tmp_path / "bench.png")


def test_an_interruption_leaves_what_was_measured_and_a_free_model(tiny: Reasoner) -> None:
    def interrupt(so_far: Run) -> None:
        if so_far.report.decode:
            raise KeyboardInterrupt

    run = run_on(tiny, 3600, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert len(run.report.decode) == 1
    assert run.report.thought
    assert isinstance(tiny.backend, LocalBackend)
    assert tiny.backend.scheduler.sequences == []
    assert tiny.ask("What is 2 + 3?", temperature=0).boxed == "5"
