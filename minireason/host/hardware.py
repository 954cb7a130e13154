"""What the machine has: cores, memory, GPUs, and how fast it reads memory."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from minireason.host import cgroups, machine_file, state, system

_SIMD = "avx avx2 avx_vnni avx512f avx512_vnni avx512_bf16 amx_int8 fma f16c asimd asimddp i8mm sve"
_MAX_CORES = 2**31
_MEASURED_S = 0.3
_MEASURED_BYTES = 2**28
_CPUINFO = 8192


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the installed llama.cpp can use."""

    name: str
    """llama.cpp's name for it, such as "CUDA0"."""

    description: str
    """Its maker's name for it."""

    free_bytes: int
    """Its memory that nobody uses."""

    total_bytes: int
    """All of its memory."""

    unified: bool = False
    """Whether its memory is the machine's own."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine, as far as it matters for loading a model."""

    cores: int
    """Threads that computing should use: physical cores, within what the cgroup allows."""

    free_bytes: int
    """Memory that is free, within what the system and the cgroup allow."""

    total_bytes: int
    """Memory in all, within the same."""

    simd: tuple[str, ...] = ()
    """The CPU's vector instructions, named as in /proc/cpuinfo."""

    cpu: str = ""
    """The maker's name of the CPU."""

    built_for: frozenset[str] = frozenset()
    """Those that the installed llama.cpp uses, in its own names ("AVX2", "AVX512").

    Empty where nobody has asked.
    """

    gpus: tuple[Gpu, ...] = ()
    """The GPUs that the installed llama.cpp can use."""

    bandwidth_bytes_per_s: float | None = None
    """How fast the cores together read memory; None where nobody has measured it."""

    @property
    def unified(self) -> bool:
        """Whether a GPU's memory is the machine's own."""
        return any(gpu.unified for gpu in self.gpus)

    @property
    def free_vram_bytes(self) -> int:
        """The free memory of all GPUs."""
        return sum(gpu.free_bytes for gpu in self.gpus)

    def left(self, taken_bytes: int, gpu_share: float = 1.0) -> Hardware:
        """The machine without `taken_bytes` of its free memory, for one who has a share of a GPU.

        At most so much of the memory of each counts as free.
        """
        gpus = tuple(
            replace(gpu, free_bytes=min(gpu.free_bytes, int(gpu_share * gpu.total_bytes)))
            for gpu in self.gpus
        )
        return replace(self, free_bytes=max(0, self.free_bytes - taken_bytes), gpus=gpus)


def probe(list_devices: Callable[[], Sequence[Gpu]] | None = None) -> Hardware:
    """This machine, now; `list_devices` asks llama.cpp for its GPUs.

    See `reasoner.machine`, which does.
    """
    free, total = _memory()
    gpus = tuple(list_devices()) if list_devices else ()
    return Hardware(_cores(), free, total, _simd(), cpu_name(), gpus=gpus)


def free_bytes() -> int:
    """Memory that is free now, within what the system and the cgroup allow."""
    return _memory()[0]


def bandwidth(cache: Path) -> float:
    """What `measure_bandwidth` gives, measured once and kept in the JSON file `cache`.

    It is measured again when the number of cores changes.
    """
    cores = _cores()
    known = state.read_json(cache, {"cores": int, "bytes_per_s": float}).value
    if known and known["cores"] == cores and known["bytes_per_s"] > 0:
        return float(known["bytes_per_s"])
    measured = measure_bandwidth()
    machine_file.change(cache, {"cores": cores, "bytes_per_s": round(measured)})
    return measured


def measure_bandwidth() -> float:
    """Bytes per second that one thread on each core together read from memory.

    The best of a few sums over 256 MiB, in 0.4 s. A cache larger than that, such as a server's,
    makes it too high.
    """
    import numpy as np

    parts = np.array_split(np.ones(_MEASURED_BYTES // 8, dtype=np.int64), _cores())
    best, until = 0.0, time.perf_counter() + _MEASURED_S
    while time.perf_counter() < until:
        # numpy lets go of the interpreter's lock
        threads = [threading.Thread(target=part.sum) for part in parts]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = max(best, _MEASURED_BYTES / (time.perf_counter() - started))
    return best


def cpu_name() -> str:
    """The maker's name of the CPU, or of its kind where that is not known."""
    if sys.platform == "darwin":
        name = system.output("/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string")
    else:
        lines = _cpuinfo().splitlines()
        name = next((line for line in lines if line.startswith("model name")), "").partition(":")[2]
    return " ".join(name.split()) or platform.processor() or platform.machine()


def _cores() -> int:
    """Physical cores among those that this process may run on, within the cgroup's CPU quota."""
    allowed = set(range(os.cpu_count() or 1))
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
    topology = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    physical = {system.read(Path(topology.format(cpu))) or str(cpu) for cpu in allowed}
    quotas = (int(quota) for quota in cgroups.cpu_quotas(cgroups.folders("cpu")))
    return max(1, min(len(physical), *quotas, _MAX_CORES))


def _memory() -> tuple[int, int]:
    """Free and total bytes."""
    if sys.platform == "linux":
        return _linux_memory()
    if sys.platform == "darwin":
        total = int(system.output("/usr/sbin/sysctl", "-n", "hw.memsize") or 0)
        return total * 3 // 4, total
    return _windows_memory()


def _linux_memory() -> tuple[int, int]:
    lines = system.read(Path("/proc/meminfo")).splitlines()
    rows = dict(line.split(":", 1) for line in lines if ":" in line)
    total, free = (
        int(rows.get(key, "0").split()[0]) * 1024 for key in ("MemTotal", "MemAvailable")
    )
    limits = [(free, total), *cgroups.memory_limits(cgroups.folders("memory"))]
    return min(free for free, _ in limits), min(total for _, total in limits)


def _windows_memory() -> tuple[int, int]:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in "abcdefg"),
        )

    status = Status(length=ctypes.sizeof(Status))
    if sys.platform == "win32":  # the type checker knows `windll` there only
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.b), int(status.a)


def _simd() -> tuple[str, ...]:
    """Names as in /proc/cpuinfo, where the first core comes first and is enough."""
    if sys.platform != "linux":
        return ("asimd",) if platform.machine().lower() == "arm64" else ()
    flags = set(_cpuinfo().lower().replace("\n", " ").split())
    return tuple(name for name in _SIMD.split() if name in flags)


def _cpuinfo() -> str:
    """The beginning of /proc/cpuinfo; "" where there is none."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return file.read(_CPUINFO)
    except OSError:
        return ""
