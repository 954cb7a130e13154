"""What can be said of bench/gpu.py where there is no GPU."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import bench


@pytest.fixture(scope="module")
def gpu(shapes: ModuleType) -> ModuleType:
    for name in (
        "subject",
        "tools",
        "compare",
        "llama_server",
        "sides",
        "startup",
        "starting",
        "peer_rows",
    ):
        bench(name)
    return bench("gpu")


@pytest.mark.parametrize(
    ("platform", "program", "file", "kind"),
    [
        ("darwin", None, None, "metal"),
        ("linux", "nvidia-smi", None, "cuda"),
        ("linux", None, "/dev/nvidia0", "cuda"),
        ("linux", None, "/dev/dri/renderD128", "vulkan"),
        ("linux", None, None, None),
    ],
)
def test_the_kind_of_build(
    gpu: ModuleType, platform: str, program: str | None, file: str | None, kind: str | None
) -> None:
    which = {program: f"/usr/bin/{program}"}.get
    assert gpu.kind_here(platform, which, lambda path: path == file) == kind


def test_it_compiles_the_version_that_is_installed(gpu: ModuleType, tmp_path: Path) -> None:
    steps = [" ".join(step) for step in gpu.commands("cuda", tmp_path)]
    assert "CMAKE_ARGS=-DGGML_CUDA=on" in steps[1]
    assert "--no-binary=llama-cpp-python llama-cpp-python==" in steps[1]


def test_it_builds_nothing_where_nobody_says_yes(
    gpu: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MINIREASON_BENCH_DIR", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(SystemExit, match="Nothing was built"):
        gpu.build("vulkan", yes=False)
    assert "CMAKE_ARGS=-DGGML_VULKAN=on" in capsys.readouterr().out
    assert not (tmp_path / "venvs" / "gpu-vulkan").exists()
