"""The processes that a process has begun, and the processor time of all together. Linux."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def below(process: int) -> list[int]:
    """The processes that a process has begun, and those that these have."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(int(_fields(int(entry.name))[1]), []).append(int(entry.name))
    all_below, todo = [], [process]
    while todo:
        own = children.get(todo.pop(), [])
        all_below += own
        todo += own
    return all_below


class Spent:
    """The processor time of a process and of all below it, ended ones as they were last seen."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._seconds: dict[int, float] = {}

    def look(self) -> float:
        """Seconds by now."""
        for process in (self._process, *below(self._process)):
            with suppress(OSError):
                user, system = _fields(process)[11:13]
                self._seconds[process] = (int(user) + int(system)) * _TICK_S
        return sum(self._seconds.values())


def _fields(process: int) -> list[str]:
    """What the system tells of a process, from its state on (proc(5), /proc/pid/stat)."""
    told = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    return told.rpartition(")")[2].split()
