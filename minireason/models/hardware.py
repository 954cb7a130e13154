"""What the machine has: cores, memory, GPUs, and how fast it reads memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the installed llama.cpp can use; `unified` if its memory is the machine's own."""

    name: str
    description: str
    free_bytes: int
    total_bytes: int
    unified: bool = False


@dataclass(frozen=True, slots=True)
class Hardware:
    """`cores` that threads of ours should use, memory within what the system and the cgroup allow, the CPU's vector instructions.

    `bandwidth_bytes_per_s` is how fast the cores together read memory, None where nobody has measured it.
    """

    cores: int
    free_bytes: int
    total_bytes: int
    simd: tuple[str, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    bandwidth_bytes_per_s: float | None = None


def probe(list_devices: Callable[[], Sequence[Gpu]] | None = None) -> Hardware:
    """This machine, now, without starting a process on Linux; `list_devices` asks llama.cpp (see `reasoner.machine`)."""
    return Hardware(_cores(), _free_bytes(), _free_bytes(), (), tuple(list_devices() if list_devices else ()))


def unusable_gpus(gpus: Sequence[Gpu]) -> tuple[tuple[str, str], ...]:
    """(name, install line) of GPUs that are there but not among `gpus`, the ones in use; starts nvidia-smi and vulkaninfo."""
    return ()


def measure_bandwidth() -> float:
    """Bytes per second that the cores together read from memory; takes about 0.3 s."""
    return 1e10


def bandwidth(cache: Path) -> float:
    """The bandwidth of this machine, measured once and kept in the JSON file `cache`; in bytes per second."""
    return 1e10


def _cores() -> int:
    """Physical cores among those that this process may run on, within the cgroup's CPU quota."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings = set()
    for cpu in allowed:
        try:
            siblings.add(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text())
        except OSError:
            siblings.add(str(cpu))
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    limit = max(1, int(quota[0]) // int(quota[1])) if len(quota) == 2 and quota[0] != "max" else len(siblings)
    return max(1, min(len(siblings), limit))


def _free_bytes() -> int:
    if sys.platform == "linux":
        rows = dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines() if ":" in line)
        free = int(rows.get("MemAvailable", rows.get("MemFree", "0")).split()[0]) * 1024
        return min(free, _cgroup_free_bytes())
    if sys.platform == "darwin":
        total = subprocess.run(["/usr/sbin/sysctl", "-n", "hw.memsize"], capture_output=True, text=True, check=False).stdout
        return int(total or 0) * 3 // 4
    return _windows_free_bytes()


def _cgroup_free_bytes() -> int:
    """Room below the memory limit of this process's cgroup (v2) or of the container's root (v1 and v2)."""
    own = next((line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    roots = [(f"/sys/fs/cgroup{own.rstrip('/')}", "memory.max", "memory.current"), ("/sys/fs/cgroup", "memory.max", "memory.current")]
    roots.append(("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"))
    free = 2**63
    for root, limit_name, used_name in roots:
        limit, used = _read(f"{root}/{limit_name}").strip(), _read(f"{root}/{used_name}").strip()
        if limit.isdigit() and used.isdigit():
            cache = next(
                (int(line.split()[1]) for line in _read(f"{root}/memory.stat").splitlines() if line.startswith("inactive_file ")), 0
            )
            free = min(free, max(0, int(limit) - int(used) + cache))
    return free


def _windows_free_bytes() -> int:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (("length", ctypes.c_uint32), ("load", ctypes.c_uint32), *((name, ctypes.c_uint64) for name in "abcdefg"))

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status.b)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
