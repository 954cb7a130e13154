"""What was measured of this machine: kept, found again, and never trusted blindly."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from minireason.host import hardware, machine_file
from minireason.models import tuned
from minireason.models.tuned import Entry, Place, StepCosts
from tests.models.measured import COSTS, HERE, SHAPE, TUNED, entry


def test_what_is_remembered_is_found_again() -> None:
    tuned.remember(entry())
    quantized = replace(TUNED, n_threads=1)
    tuned.remember(replace(entry(), kv_type="q8_0", tuned=quantized))
    assert tuned.known(HERE, SHAPE) == {"f16": TUNED, "q8_0": quantized}
    newer = replace(TUNED, flash_attention=not TUNED.flash_attention)
    tuned.remember(replace(entry(), tuned=newer))
    assert tuned.known(HERE, SHAPE) == {"f16": newer, "q8_0": quantized}
    assert not tuned.problem()


@pytest.mark.parametrize(
    "there", [Place("x", HERE.cpu, 2), Place(HERE.build, "x", 2), Place(HERE.build, HERE.cpu, 4)]
)
def test_another_machine_or_build_is_ignored_and_not_forgotten(there: Place) -> None:
    tuned.remember(entry())
    assert not tuned.known(there, SHAPE)
    assert not tuned.known(HERE, replace(SHAPE, layers=9))
    assert not tuned.known(HERE, replace(SHAPE, weight_bytes=9))
    tuned.remember(replace(entry(), place=there))
    assert tuned.known(there, SHAPE) == tuned.known(HERE, SHAPE) == {"f16": TUNED}


def changed(**changes: object) -> dict[str, Any]:
    """An entry of the file with other values."""
    row = asdict(entry())
    for name, value in changes.items():
        inner = row["tuned"]
        while name not in inner:
            inner = inner["step_costs"]
        inner[name] = value
    return row


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"tuned": 3}',
        '{"tuned": [1, null, {}]}',
        json.dumps({"tuned": [asdict(entry()) | {"kv_type": "f32"}]}),
        json.dumps({"tuned": [changed(n_threads=0)]}),
        json.dumps({"tuned": [changed(n_threads=10**9)]}),
        json.dumps({"tuned": [changed(n_ubatch=-1)]}),
        json.dumps({"tuned": [changed(step_s=float("nan"))]}),
        json.dumps({"tuned": [changed(step_s=0)]}),
        json.dumps({"tuned": [changed(flash_attention=1)]}),
        json.dumps({"tuned": [changed(sizes=[], costs=[])]}),
        json.dumps({"tuned": [changed(sizes=[1, 2])]}),
        json.dumps({"tuned": [changed(sizes=[1, 4, 2, 8])]}),
        json.dumps({"tuned": [changed(costs=[1, 2, 0, 4])]}),
        json.dumps({"tuned": [changed(costs=[1, 2, 1e300, 4])]}),
        json.dumps({"tuned": [changed(per_1000_tokens=-1)]}),
    ],
)
def test_what_is_damaged_is_ignored_and_mended(content: str) -> None:
    machine_file.path().parent.mkdir(exist_ok=True)
    machine_file.path().write_text(content)
    assert (dict(tuned.known(HERE, SHAPE)), tuned.load()) == ({}, [])
    assert tuned.problem()
    tuned.remember(entry())
    assert tuned.known(HERE, SHAPE) == {"f16": TUNED}
    assert not tuned.problem()


def test_the_file_is_bounded_and_the_newest_stay() -> None:
    for number in range(tuned.MOST_ENTRIES + 5):
        tuned.remember(replace(entry(), shape=str(number)))
    assert [one.shape for one in tuned.load()] == [
        str(number) for number in range(5, tuned.MOST_ENTRIES + 5)
    ]
    assert machine_file.path().stat().st_size < 50_000


def test_bandwidth_and_measurements_keep_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_file.path().unlink()
    tuned.remember(entry())
    monkeypatch.setattr(hardware, "measure_bandwidth", lambda: 5e9)
    assert hardware.bandwidth(machine_file.path()) == 5e9
    tuned.remember(replace(entry(), shape="another"))
    monkeypatch.setattr(hardware, "measure_bandwidth", lambda: 1e9)
    assert hardware.bandwidth(machine_file.path()) == 5e9
    assert len(tuned.load()) == 2


def test_where_nothing_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_file.path().unlink()
    machine_file.path().mkdir()
    tuned.remember(entry())
    assert tuned.load() == []
    assert tuned.problem()


def test_step_costs_between_and_beyond_what_was_measured() -> None:
    assert [COSTS.of(size) for size in (1, 2, 3, 4, 6, 8, 16)] == pytest.approx(
        [1, 1.2, 1.4, 1.6, 2.3, 3.0, 5.8]
    )
    assert COSTS.of(4, 3000) == pytest.approx(1.6 + 4 * 3 * 0.25)
    assert StepCosts((1,), (1.0,)).of(5) == 5


def test_an_entry_survives_the_file() -> None:
    tuned.remember(entry())
    [kept] = tuned.load()
    assert isinstance(kept, Entry)
    assert kept == entry()
