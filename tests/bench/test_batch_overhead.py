"""What is watched of a batch: its processes, and the lines that it has written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import bench

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")

WRITING = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "sum(range(10**7)); input()"], stdin=-1)
for number in range(int(sys.argv[2])):
    print(number, file=open(sys.argv[1], "a"))
    time.sleep(0.02)
child.communicate(b"x")
sys.exit(int(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def processes() -> ModuleType:
    return bench("processes")


@pytest.fixture(scope="module")
def overhead(processes: ModuleType) -> ModuleType:
    bench("tools")
    bench("compare")
    return bench("batch_overhead")


def writing(out: Path, count: int, code: int = 0) -> list[str]:
    return [sys.executable, "-c", WRITING, str(out), str(count), str(code)]


def test_what_is_below_a_process_counts_after_its_end_too(processes: ModuleType) -> None:
    busy = "sum(range(10**7)); print(1, flush=True); input()"
    begin = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdin
        process.stdout.readline()
        (child,) = processes.below(process.pid)
        spent = processes.Spent(process.pid)
        all_of_it = spent.look()
        assert all_of_it > processes.Spent(child).look() > 0
        process.stdin.close()
    assert spent.look() == all_of_it


def test_a_command_is_watched_from_its_first_line_on(overhead: ModuleType, tmp_path: Path) -> None:
    values = overhead.watched(writing(tmp_path / "out", 40), tmp_path / "out", 40)
    assert values.keys() == {"start_s", "item_ms", "cpu_ms"}
    assert values["start_s"] > 0
    assert values["item_ms"] > 0
    assert values["cpu_ms"] >= 0


def test_what_cannot_be_watched(overhead: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(overhead.tools.ToolFailed, match="too fast to be watched"):
        overhead.watched(writing(tmp_path / "few", 2), tmp_path / "few", 40)
    with pytest.raises(overhead.tools.ToolFailed, match=" -c "):
        overhead.watched(writing(tmp_path / "out", 3, code=3), tmp_path / "out", 3)
