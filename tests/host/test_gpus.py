"""Programs that list GPUs, some of which the installed llama.cpp cannot use."""

from __future__ import annotations

from pathlib import Path

import pytest

from minireason.host.gpus import unusable_gpus
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
GPU2:
	deviceType         = PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
	deviceName         = NVIDIA GeForce RTX 3060
"""


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
    program(on_path / "vulkaninfo", SUMMARY)
    commands = dict(unusable_gpus(()))
    assert set(commands) == {"NVIDIA GeForce RTX 3060", "AMD Radeon RX 7600"}
    assert "/cu124 'llama-cpp-python" in commands["NVIDIA GeForce RTX 3060"]
    assert "/vulkan 'llama-cpp-python" in commands["AMD Radeon RX 7600"]
    usable = Gpu("CUDA0", "NVIDIA GeForce RTX 3060", 6 * GIB, 6 * GIB)
    assert set(dict(unusable_gpus((usable,)))) == {"AMD Radeon RX 7600"}


def test_a_driver_that_fails_is_no_gpu(on_path: Path) -> None:
    failure = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    program(on_path / "nvidia-smi", failure, status=9)
    assert unusable_gpus(()) == ()
