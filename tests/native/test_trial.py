"""A model file is used in a child process first: what that finds out.

And what it does not blame on the file.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import minireason
from minireason import EngineError, ModelFileError
from minireason.engine import trial
from minireason.host import hardware
from minireason.models import known_good
from tests.faults import mutate
from tests.faults.mutate import Parts
from tests.models.build import write

pytestmark = pytest.mark.first_start


def changed(original: Path, to: Path, change: Callable[[Parts], object]) -> Path:
    parts = mutate.parse(original.read_bytes())
    change(parts)
    to.write_bytes(mutate.build(parts))
    return to


def first_value(name: str, value: float) -> Callable[[Parts], None]:
    """Sets the first value of a tensor of float32."""

    def change(parts: Parts) -> None:
        at = parts.of(name).offset
        parts.data[at : at + 4] = struct.pack("<f", value)

    return change


def test_a_good_file_passes(tiny_path: Path, smollm2_path: Path) -> None:
    trial.run(tiny_path)
    trial.run(smollm2_path, template="{{ messages }}<|im_start|>\ud800")


def test_a_file_llama_cpp_refuses(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="could not load it"):
        trial.run(write(tmp_path / "empty.gguf"))


@pytest.mark.parametrize("value", [float("inf"), 1e38, -1e38])
def test_values_that_are_no_numbers(tiny_path: Path, tmp_path: Path, value: float) -> None:
    """One value of a norm makes the logits NaN or infinite, and a sampler abort."""
    path = changed(tiny_path, tmp_path / "a.gguf", first_value("output_norm.weight", value))
    with pytest.raises(ModelFileError, match="numbers"):
        minireason.load(path)


def library(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a llama_cpp in front of the real one, whose bindings are this."""
    (folder / "llama_cpp").mkdir()
    (folder / "llama_cpp" / "__init__.py").touch()
    (folder / "llama_cpp" / "llama_cpp.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))


def until_loading(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the real library in front of itself, but let this happen where it loads a model."""
    library(
        folder,
        f"""
import os, sys, time
sys.path.remove({str(folder)!r})
del sys.modules["llama_cpp"], sys.modules["llama_cpp.llama_cpp"]
from llama_cpp import llama_cpp
def load(*arguments): {code}
llama_cpp.llama_model_load_from_file = load
""",
        monkeypatch,
    )


@pytest.mark.parametrize(
    ("status", "kind", "problem"),
    [
        ("os.abort()", ModelFileError, "crashed while opening it"),
        ("os.kill(os.getpid(), 11)", ModelFileError, "crashed while opening it"),
        ("os.kill(os.getpid(), 9)", EngineError, "ended the process"),
        ("os.kill(os.getpid(), 4)", EngineError, "another CPU"),
        ("print('std::bad_alloc', file=sys.stderr); os.abort()", ModelFileError, "more memory"),
        ("raise ValueError('of ours')", EngineError, "ValueError: of ours"),
    ],
)
def test_what_a_crash_means(
    tiny_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    kind: type[Exception],
    problem: str,
) -> None:
    until_loading(tmp_path, status, monkeypatch)
    with pytest.raises(kind, match=problem):
        trial.run(tiny_path)


def test_a_machine_without_memory_says_nothing_about_the_file(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_loading(tmp_path, "raise MemoryError", monkeypatch)
    monkeypatch.setattr(hardware, "free_bytes", lambda: trial.NEEDED_BYTES)
    with pytest.raises(EngineError, match="not enough memory"):
        trial.run(tiny_path)


@pytest.mark.slow
def test_a_file_that_hangs_is_refused_and_not_blamed(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    until_loading(tmp_path, "time.sleep(1000)", monkeypatch)
    monkeypatch.setattr(trial, "START_S", 2.0)
    with pytest.raises(EngineError, match="took too long"):
        trial.run(tiny_path)


@pytest.mark.parametrize("code", ["import os; os.abort()", "raise OSError('no library')"])
def test_a_child_that_does_not_start_says_nothing_about_the_file(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    library(tmp_path, code, monkeypatch)
    with pytest.raises(EngineError, match="did not start"):
        trial.run(tiny_path)
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(EngineError, match="could be started"):
        trial.run(tiny_path)


@pytest.mark.parametrize("repack", [False, True])
def test_a_file_is_tried_once_as_it_will_be_loaded(
    random_path: Path, monkeypatch: pytest.MonkeyPatch, repack: bool
) -> None:
    seen: list[object] = []
    real = trial.run

    def run(path: Path, **how: Any) -> None:
        seen.append(how["repack"])
        real(path, **how)

    monkeypatch.setattr(trial, "run", run)
    for _ in range(2):
        with minireason.load(random_path, repack=repack, n_threads=1) as reasoner:
            assert reasoner.plan.repack is repack
    assert seen == [repack]


def test_a_file_replaced_with_the_same_size_and_time_is_tried_again(
    tiny_path: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(tiny_path.read_bytes())
    minireason.load(path).close()
    assert known_good.was_opened(path) or known_good.was_opened(path, repack=True)
    before = path.stat()
    changed(tiny_path, path, first_value("output_norm.weight", float("inf")))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    with pytest.raises(ModelFileError, match="numbers"):
        minireason.load(path)


def test_a_name_that_is_no_text(tiny_path: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.gguf"))
    path.write_bytes(tiny_path.read_bytes())
    with minireason.load(path) as reasoner:
        assert reasoner.ask("What is 2 + 3?", temperature=0).boxed == "5"
