"""This machine: what it has, and how fast it reads memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minireason.backends import loading
from minireason.engine import devices
from minireason.host import hardware


def test_this_machine() -> None:
    machine = loading.machine()
    assert machine.cores >= 1
    assert machine.cpu
    assert 2**20 < machine.free_bytes <= machine.total_bytes
    assert len(machine.gpus) == sum(device.kind in ("gpu", "igpu") for device in devices.devices())


def test_llama_cpp_lists_its_cpu() -> None:
    cpus = [device for device in devices.devices() if device.kind == "cpu"]
    assert any(cpu.total_bytes > 2**20 for cpu in cpus)


def test_bandwidth_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "data" / "machine.json"
    measured = hardware.bandwidth(cache)
    assert 1e8 < measured < 1e13
    monkeypatch.setattr(hardware, "measure_bandwidth", lambda: 5e9)
    assert hardware.bandwidth(cache) == pytest.approx(measured, rel=1e-6)
    known = json.loads(cache.read_text())
    for damaged in (
        "",
        "[]",
        '{"cores": 1',
        json.dumps(known | {"cores": known["cores"] + 1}),
        json.dumps(known | {"bytes_per_s": "x"}),
    ):
        cache.write_text(damaged)
        assert hardware.bandwidth(cache) == 5e9


def test_bandwidth_where_nothing_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "measure_bandwidth", lambda: 5e9)
    (tmp_path / "file").touch()
    assert hardware.bandwidth(tmp_path / "file" / "machine.json") == 5e9


def test_what_is_left_for_one_who_has_a_share() -> None:
    gpus = (hardware.Gpu("CUDA0", "", 3000, 4000), hardware.Gpu("CUDA1", "", 500, 4000))
    machine = hardware.Hardware(4, 1000, 2000, gpus=gpus)
    left = machine.left(400, 0.25)
    assert (left.free_bytes, left.total_bytes) == (600, 2000)
    assert [(gpu.free_bytes, gpu.total_bytes) for gpu in left.gpus] == [(1000, 4000), (500, 4000)]
    assert machine.left(0) == machine
    assert machine.left(1001).free_bytes == 0
