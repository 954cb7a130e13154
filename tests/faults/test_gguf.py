"""A short run of tests/faults/gguf.py, and what it would say of a process that dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("gguf.py")


def run(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROGRAM), "--kept", str(tmp_path / "kept"), *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("count", [6, pytest.param(150, marks=pytest.mark.slow)])
def test_no_file_kills_or_hangs_the_process_that_loads_it(tmp_path: Path, count: int) -> None:
    done = run(tmp_path, "--seconds", "1000", "--count", str(count))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count:6}  files, 0 of them bad" in done.stdout
    assert "refused by its header" in done.stdout
    assert "loaded and asked" in done.stdout


def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that crashes where it is imported: in the worker, which has no child before it."""
    (tmp_path / "llama_cpp").mkdir()
    (tmp_path / "llama_cpp" / "__init__.py").touch()
    (tmp_path / "llama_cpp" / "llama_cpp.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run(tmp_path, "--seconds", "1000", "--count", "3")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "killed by 6" in done.stdout
    assert list((tmp_path / "kept").iterdir())
