"""What a batch takes for each of its items once it has begun, in all of its processes. Linux."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path

import processes
import tools
from compare import Values

FROM, TO = 0.2, 0.95
"""Between these parts of the items it is measured: Ray is still starting at the first ones."""

LOOK_EVERY_S = 0.01


def watched(command: list[str], out: Path, items: int) -> Values:
    """Run a command that writes so many replies: processor and wall time of one, and the start.

    Raises ToolFailed.
    """
    began = time.perf_counter()
    due = [1, int(FROM * items), int(TO * items)]
    marks: list[tuple[int, float, float]] = []
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(command, stderr=said) as process:
        spent, written = processes.Spent(process.pid), Written(out)
        while process.poll() is None:
            time.sleep(LOOK_EVERY_S)
            count = written.count()
            while due and count >= due[0]:
                due.pop(0)
                marks.append((count, time.perf_counter() - began, spent.look()))
        said.seek(0)
        if process.returncode:
            raise tools.ToolFailed(f"{' '.join(command)}: {said.read()[-1000:]}")
    if due or marks[1][0] >= marks[2][0]:
        raise tools.ToolFailed("the replies came too fast to be watched; take more --items")
    (_, start_s, _), (first, first_s, first_cpu_s), (last, last_s, last_cpu_s) = marks
    return {
        "start_s": start_s,
        "item_ms": 1e3 * (last_s - first_s) / (last - first),
        "cpu_ms": 1e3 * (last_cpu_s - first_cpu_s) / (last - first),
    }


class Written:
    """The lines of a file that grows, of which each is read once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bytes = self._lines = 0

    def count(self) -> int:
        """How many there are by now."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._bytes)
                new = file.read()
            self._bytes += len(new)
            self._lines += new.count(b"\n")
        return self._lines
