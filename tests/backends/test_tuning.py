"""What is faster here: chosen by its times, thrown away where something disturbed them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from minireason import Reasoner
from minireason.backends import comparison, loading, tuning
from minireason.backends.capabilities import KnowsStepCosts, MeasuresItself
from minireason.backends.local import LocalBackend
from minireason.backends.tuning import Tuner
from minireason.engine.measure import Probe
from minireason.host import hardware
from minireason.models import gguf, shape, tuned
from minireason.models.tuned import Tuned
from minireason.settings import LoadSettings
from tests.models.measured import COSTS, HERE, TUNED, entry

Times = Callable[[Probe, int], float]


@pytest.fixture
def backend(tiny_path: Path) -> Iterator[LocalBackend]:
    """Tiny, planned with two threads and flash attention, as its heads are small."""
    opened = loading.open_model(str(tiny_path), LoadSettings(n_threads=2))
    yield opened
    opened.close()


@pytest.fixture
def tuner(backend: LocalBackend, tiny_path: Path) -> Tuner:
    larger = replace(shape.of(gguf.check(tiny_path)), weight_bytes=tuning.LEAST_BYTES)
    return Tuner("tiny", HERE, larger, backend.plan)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else is there."""
    monkeypatch.setattr(tuning.OtherLoad, "cpus", lambda _self: 0.0)


def take(monkeypatch: pytest.MonkeyPatch, decode: Times, prefill: Times) -> None:
    """Let steps and prompts take such times."""
    monkeypatch.setattr(comparison, "decode_s", lambda probe, batch=1: decode(probe, batch))
    monkeypatch.setattr(comparison, "prefill_s", prefill)


def kept(tuner: Tuner, backend: LocalBackend) -> Tuned:
    outcome = tuner.run(backend.model)
    assert outcome.entry, outcome.problem
    assert tuned.load() == [outcome.entry]
    return outcome.entry.tuned


def test_what_is_faster_is_chosen(
    tuner: Tuner, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(probe: Probe, batch: int) -> float:
        how = probe.params
        slow = 1 + probe.depth / 1000 * (1 if how.flash_attention else 0.5)
        return slow * 1e-3 * (1 + batch) / 2 * (1 if how.n_threads == 1 else 2)

    def prefill(probe: Probe, tokens: int) -> float:
        return tokens * 1e-5 * (1 if probe.params.n_ubatch == 512 else 2)

    take(monkeypatch, decode, prefill)
    result = kept(tuner, backend)
    assert (result.n_threads, result.n_ubatch) == (1, 512)
    assert not result.flash_attention
    assert result.step_s == pytest.approx(1e-3)
    assert result.step_costs.costs == (1, 1.5, 2.5, 4.5, 8.5)
    assert result.step_costs.per_1000_tokens == pytest.approx(0.5, rel=0.01)
    assert not tuner.wanted


def test_what_gains_little_stays_as_planned(
    tuner: Tuner, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = backend.plan

    def planned(probe: Probe) -> bool:
        how = probe.params
        return (how.n_threads, how.flash_attention) == (plan.n_threads, plan.flash_attention)

    take(
        monkeypatch,
        lambda probe, batch: 1e-3 * batch * (1 if planned(probe) else 0.97),
        lambda probe, tokens: 1e-5 * tokens * (1 if planned(probe) else 0.97),
    )
    result = kept(tuner, backend)
    assert (result.n_threads, result.n_ubatch) == (plan.n_threads, plan.n_ubatch)
    assert result.flash_attention == plan.flash_attention


def test_unequal_times_of_equal_steps_are_thrown_away(
    tuner: Tuner, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned.remember(entry())
    times = itertools.count()
    take(monkeypatch, lambda _probe, _batch: 1e-4 * 1.5 ** next(times), lambda *_: 1e-3)
    assert "unequal" in tuner.run(backend.model).problem
    assert tuned.load() == [entry()], "yesterday's is still there"
    assert tuner.wanted
    for _ in range(tuning.MOST_TRIES):
        tuner.run(backend.model)
    assert not tuner.wanted, "some time it is enough"


def test_a_busy_machine_is_not_measured(
    tuner: Tuner, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned.remember(entry())
    take(monkeypatch, lambda _probe, batch: 1e-3 * batch, lambda _probe, _tokens: 1e-3)
    monkeypatch.setattr(tuning.OtherLoad, "cpus", lambda _self: 0.8)
    assert "0.8 CPUs" in tuner.run(backend.model).problem
    assert tuned.load() == [entry()]


@pytest.mark.parametrize("after", [0, 1, 5, 20, 40])
def test_what_is_interrupted_leaves_what_was_there(
    tuner: Tuner, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    tuned.remember(entry())
    left = iter([False] * after)
    take(monkeypatch, lambda _probe, batch: 1e-3 * batch, lambda _probe, _tokens: 1e-3)
    assert "interrupted" in tuner.run(backend.model, lambda: next(left, True)).problem
    assert tuned.load() == [entry()]
    assert tuner.wanted, "stopping is no try"


def test_ctrl_c_leaves_what_was_there(
    tuner: Tuner, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_probe: Probe, _batch: int) -> float:
        raise KeyboardInterrupt

    tuned.remember(entry())
    take(monkeypatch, interrupt, interrupt)
    with pytest.raises(KeyboardInterrupt):
        tuner.run(backend.model)
    assert tuned.load() == [entry()]


def test_nothing_is_measured_before_the_first_answer_nor_twice(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(backend, MeasuresItself)
    assert isinstance(backend, KnowsStepCosts)
    runs: list[str] = []

    class Fake:
        wanted = True

        def run(self, _model: object, stopped: Callable[[], bool]) -> None:
            assert not stopped()
            runs.append("run")
            Reasoner(backend).ask("What is 2 + 3?", max_tokens=1)
            assert stopped(), "somebody wants the model"
            self.wanted = False

    monkeypatch.setattr(backend, "tuner", Fake())
    backend.measure(lambda: False)
    assert not runs
    Reasoner(backend).ask("What is 2 + 3?", max_tokens=1)
    for _ in range(2):
        backend.measure(lambda: False)
    assert len(runs) == 1


@pytest.mark.parametrize(("spare_bytes", "compared"), [(0, True), (-1, False)])
def test_the_file_is_mapped_beside_its_copy_only_where_there_is_room(
    random_path: Path, monkeypatch: pytest.MonkeyPatch, spare_bytes: int, compared: bool
) -> None:
    opened = loading.open_model(str(random_path), LoadSettings(n_threads=1))
    assert opened.plan.repack
    larger = replace(shape.of(gguf.check(random_path)), weight_bytes=tuning.LEAST_BYTES)
    monkeypatch.setattr(hardware, "free_bytes", lambda: tuning.LEAST_BYTES + spare_bytes)
    take(
        monkeypatch,
        lambda probe, batch: 1e-3 * batch * (2 if probe.model is opened.model else 1),
        lambda _probe, tokens: 1e-5 * tokens,
    )
    result = kept(Tuner("random", HERE, larger, opened.plan), opened)
    assert result.repack is not compared
    opened.close()


@pytest.mark.parametrize(
    ("requested", "wanted"),
    [
        (LoadSettings(), True),
        (LoadSettings(n_threads=1), False),
        (LoadSettings(reproducible=True), False),
        (LoadSettings(repack=False), False),
    ],
)
def test_only_what_the_plan_may_choose_is_measured_unasked(
    smollm2_path: Path, requested: LoadSettings, wanted: bool
) -> None:
    opened = loading.open_model(str(smollm2_path), requested)
    assert opened.tuner
    assert (opened.tuner.wanted, opened.tuner.possible) == (wanted, True)
    opened.close()


def test_what_was_measured_is_loaded_the_next_time(smollm2_path: Path) -> None:
    place = loading.place(loading.machine())
    key = tuned.shape_key(shape.of(gguf.check(smollm2_path)))
    plans = []
    for flash in (True, False):
        result = tuned.Tuned(
            flash_attention=flash,
            n_ubatch=TUNED.n_ubatch,
            n_threads=1,
            repack=False,
            step_s=0.01,
            step_costs=COSTS,
            date="2026-11-29",
        )
        tuned.remember(tuned.Entry(place, key, "SmolLM2", "f16", result))
        opened = loading.open_model(str(smollm2_path), LoadSettings())
        plans.append(opened.plan)
        assert opened.step_costs == COSTS
        assert opened.tuner
        assert not opened.tuner.wanted
        opened.close()
    assert [plan.flash_attention for plan in plans] == [True, False]
    assert [plan.n_threads for plan in plans] == [1, 1]
