"""How busy others keep the CPUs that this process may run on."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from minireason.host import system

_STAT, _LOADAVG = Path("/proc/stat"), Path("/proc/loadavg")
_BUSY_COLUMNS = (1, 2, 3, 6, 7, 8)  # user, nice, system, irq, softirq, steal: proc_stat(5)


def idle_cores() -> int | None:
    """CPUs for which nothing in the whole machine is ready to run just now; None if unknown.

    The caller counts as running. It may be below zero, where programs wait for a CPU.
    """
    running = system.read(_LOADAVG).split("/")[0].split()[-1:]
    if not running or not running[0].isdigit():
        return None
    return (os.cpu_count() or 1) - int(running[0])


class OtherLoad:
    """The CPUs that others have kept busy since this was made.

    Steal of a virtual machine counts. Known on Linux only, to a hundredth of a second.
    """

    def __init__(self) -> None:
        self._cpus = _allowed()
        self._wall, self._own = time.perf_counter(), time.process_time()
        self._busy = _busy_s(self._cpus)

    def cpus(self) -> float | None:
        """How many CPUs, on average, such as 0.5 for half of one; None where it is not known."""
        wall = time.perf_counter() - self._wall
        own, busy = time.process_time() - self._own, _busy_s(self._cpus)
        if self._busy is None or busy is None or wall <= 0:
            return None
        return max(0.0, busy - self._busy - own) / wall


def _allowed() -> frozenset[str]:
    if sys.platform != "linux":
        return frozenset()
    return frozenset(f"cpu{number}" for number in os.sched_getaffinity(0))


def _busy_s(cpus: frozenset[str]) -> float | None:
    """Seconds that these CPUs were busy since the machine started."""
    if sys.platform != "linux":
        return None
    ticks, rows = os.sysconf("SC_CLK_TCK"), 0
    busy = 0
    for line in system.read(_STAT).splitlines():
        fields = line.split()
        if fields and fields[0] in cpus and len(fields) > max(_BUSY_COLUMNS):
            busy += sum(int(fields[column]) for column in _BUSY_COLUMNS)
            rows += 1
    return busy / ticks if rows else None
