"""What is found wrong with a file of replies."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import bench


@pytest.fixture(scope="module")
def files() -> ModuleType:
    return bench("batch_files")


def line(name: str, answer: str = "4") -> str:
    return json.dumps({"id": name, "reply": {"thinking": "", "answer": answer}})


def test_nothing_is_wrong(files: ModuleType, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    files.write(source, 2)
    out.write_text(f"{line('q2')}\n{line('q1')}\n")
    assert files.compared(source, out) == files.Compared(0, 0, 0)
    assert files.compared(source, out, out) == files.Compared(0, 0, 0, 0)


def test_all_that_can_be_wrong(files: ModuleType, tmp_path: Path) -> None:
    source, out, other = (tmp_path / f"{name}.jsonl" for name in ("in", "out", "other"))
    files.write(source, 4)
    out.write_text(f"{line('q1')}\n{line('q1')}\n{line('q9')}\n{line('q2')[:-9]}\n{line('q3')}\n")
    other.write_text(f"{line('q1')}\n{line('q3', '5')}\n{line('q9')}\n")
    compared = files.compared(source, out, other)
    assert compared == files.Compared(lost=2, twice=2, broken=1, different=1)
