"""This machine, and made-up ones: cgroup trees and programs that list GPUs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minireason.backends import loading
from minireason.engine import devices
from minireason.host import hardware
from minireason.host.hardware import Gpu

GIB = 2**30
SUMMARY = """
GPU0:
	apiVersion         = 1.3.255
	deviceType         = PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
	deviceName         = AMD Radeon RX 7600
GPU1:
	deviceType         = PHYSICAL_DEVICE_TYPE_CPU
	deviceName         = llvmpipe (LLVM 15.0.6, 256 bits)
"""


def folder(path: Path, **files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (
            path
            / name.replace("_max", ".max").replace("_current", ".current").replace("_stat", ".stat")
        ).write_text(text)
    return path


def test_this_machine() -> None:
    found = loading.machine()
    assert found.cores >= 1
    assert 2**20 < found.free_bytes <= found.total_bytes
    assert len(found.gpus) == sum(device.kind in ("gpu", "igpu") for device in devices.devices())


def test_llama_cpp_lists_its_cpu() -> None:
    assert [
        device
        for device in devices.devices()
        if device.kind == "cpu" and device.total_bytes > 2**20
    ]


def test_every_cgroup_up_to_the_root_may_set_the_limit(tmp_path: Path) -> None:
    folder(tmp_path, memory_max="max\n", memory_current=f"{9 * GIB}\n")
    folder(
        tmp_path / "pod",
        memory_max=f"{4 * GIB}\n",
        memory_current=f"{3 * GIB}\n",
        memory_stat=f"anon 7\ninactive_file {GIB}\n",
    )
    folder(
        tmp_path / "pod" / "box",
        memory_max=f"{8 * GIB}\n",
        memory_current=f"{GIB}\n",
        memory_stat="",
    )
    folders = hardware.cgroups("memory", tmp_path, "0::/pod/box\n")
    assert folders == [tmp_path / "pod" / "box", tmp_path / "pod", tmp_path]
    assert list(hardware.memory_limits(folders)) == [(7 * GIB, 8 * GIB), (2 * GIB, 4 * GIB)]


def test_a_container_of_the_first_version_sees_its_cgroup_as_the_root(tmp_path: Path) -> None:
    base = folder(tmp_path / "memory")
    (base / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
    (base / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    folders = hardware.cgroups("memory", tmp_path, "4:memory:/docker/abc\n1:cpu,cpuacct:/\n")
    assert list(hardware.memory_limits(folders)) == [(GIB, 2 * GIB)]


def test_cached_files_do_not_make_more_than_the_limit(tmp_path: Path) -> None:
    folder(
        tmp_path,
        memory_max="1000",
        memory_current="900",
        memory_stat="inactive_file 600\nactive_file 900\n",
    )
    assert list(hardware.memory_limits([tmp_path])) == [(1000, 1000)]


def test_a_cpu_quota_of_either_version(tmp_path: Path) -> None:
    second = folder(tmp_path / "second", cpu_max="150000 100000\n")
    first, free = folder(tmp_path / "first"), folder(tmp_path / "free", cpu_max="max 100000\n")
    (first / "cpu.cfs_quota_us").write_text("400000\n")
    (first / "cpu.cfs_period_us").write_text("100000\n")
    assert list(hardware._cpu_quotas([second, first, free])) == [1.5, 4.0]


def test_a_quota_below_one_cpu_leaves_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, cpu_max="50000 100000\n")
    monkeypatch.setattr(hardware, "cgroups", lambda controller: [tmp_path])
    assert hardware.probe().cores == 1


def program(path: Path, output: str, status: int = 0) -> None:
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{output}\nEND\nexit {status}\n")
    path.chmod(0o755)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path


def test_gpus_that_the_build_cannot_use(on_path: Path) -> None:
    program(on_path / "nvidia-smi", "NVIDIA GeForce RTX 3060")
    program(
        on_path / "vulkaninfo",
        SUMMARY
        + "GPU2:\n deviceType = PHYSICAL_DEVICE_TYPE_DISCRETE_GPU\n deviceName = NVIDIA GeForce RTX 3060\n",
    )
    found = dict(hardware.unusable_gpus(()))
    assert set(found) == {"NVIDIA GeForce RTX 3060", "AMD Radeon RX 7600"}
    assert "/cu124 'llama-cpp-python" in found["NVIDIA GeForce RTX 3060"]
    assert "/vulkan 'llama-cpp-python" in found["AMD Radeon RX 7600"]
    usable = Gpu("CUDA0", "NVIDIA GeForce RTX 3060", 6 * GIB, 6 * GIB)
    assert set(dict(hardware.unusable_gpus((usable,)))) == {"AMD Radeon RX 7600"}


def test_a_driver_that_fails_is_no_gpu(on_path: Path) -> None:
    program(
        on_path / "nvidia-smi",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
        status=9,
    )
    assert hardware.unusable_gpus(()) == ()


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
