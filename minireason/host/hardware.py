"""What the machine has: cores, memory, GPUs, and how fast it reads memory."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from minireason.host import files, state

_SIMD = "avx avx2 avx_vnni avx512f avx512_vnni avx512_bf16 amx_int8 fma f16c asimd asimddp i8mm sve"
_WHEELS = "https://abetlen.github.io/llama-cpp-python/whl"


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

    `built_for` are those that the installed llama.cpp uses, in its own names ("AVX2", "AVX512"), empty where nobody has asked.
    `bandwidth_bytes_per_s` is how fast the cores together read memory, None where nobody has measured it.
    """

    cores: int
    free_bytes: int
    total_bytes: int
    simd: tuple[str, ...] = ()
    built_for: frozenset[str] = frozenset()
    gpus: tuple[Gpu, ...] = ()
    bandwidth_bytes_per_s: float | None = None


def probe(list_devices: Callable[[], Sequence[Gpu]] | None = None) -> Hardware:
    """This machine, now; `list_devices` asks llama.cpp for its GPUs. See `reasoner.machine`, which does."""
    free, total = _memory()
    return Hardware(
        _cores(), free, total, _simd(), gpus=tuple(list_devices() if list_devices else ())
    )


def unusable_gpus(usable: Sequence[Gpu]) -> tuple[tuple[str, str], ...]:
    """(name, command) of the GPUs that are there but not among `usable`, and the command that installs a build for them.

    Starts nvidia-smi and vulkaninfo where they are, so it may take a second.
    """
    found: dict[str, str] = {}
    if sys.platform == "darwin":
        if platform.machine() == "arm64" and not usable:
            found["Apple GPU"] = _install("metal")
    else:
        names = _run("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
        found |= {name.strip(): _install("cu124") for name in names if name.strip()}
        for name in _vulkan_gpus(_run("vulkaninfo", "--summary")):
            found.setdefault(name, _install("vulkan"))
    return tuple(
        (name, command)
        for name, command in found.items()
        if not any(name in gpu.description for gpu in usable)
    )


def bandwidth(cache: Path) -> float:
    """What `measure_bandwidth` gives, measured once and kept in the JSON file `cache`, for as long as the cores stay the same."""
    cores = _cores()
    known = state.read_json(cache, {"cores": int, "bytes_per_s": float}).value
    if known and known["cores"] == cores and known["bytes_per_s"] > 0:
        return float(known["bytes_per_s"])
    measured = measure_bandwidth()
    noted = json.dumps({"cores": cores, "bytes_per_s": round(measured)})
    with suppress(OSError):  # it is measured again the next time
        cache.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(cache, noted.encode())
    return measured


def measure_bandwidth() -> float:
    """Bytes per second that one thread on each core together read from memory: the best of a few sums over 256 MiB, 0.4 s.

    A cache larger than that, such as a server's, makes it too high.
    """
    import numpy as np

    parts = np.array_split(np.ones(2**25, dtype=np.int64), _cores())
    best, until = 0.0, time.perf_counter() + 0.3
    while time.perf_counter() < until:
        threads = [
            threading.Thread(target=part.sum) for part in parts
        ]  # numpy lets go of the interpreter's lock
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = max(best, 2**28 / (time.perf_counter() - started))
    return best


def _cores() -> int:
    """Physical cores among those that this process may run on, within the cgroup's CPU quota."""
    allowed = (
        os.sched_getaffinity(0)
        if hasattr(os, "sched_getaffinity")
        else set(range(os.cpu_count() or 1))
    )
    siblings = {
        _read(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")) or str(cpu)
        for cpu in allowed
    }
    return max(1, min(len(siblings), *(int(quota) for quota in _cpu_quotas(cgroups("cpu"))), 2**31))


def _cpu_quotas(folders: Sequence[Path]) -> Iterator[float]:
    """CPUs that each cgroup may use, for those with a limit."""
    for folder in folders:
        quota, period = (*_read(folder / "cpu.max").split(), "", "")[:2]
        if not quota:
            quota, period = (
                _read(folder / "cpu.cfs_quota_us").strip(),
                _read(folder / "cpu.cfs_period_us").strip(),
            )
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _memory() -> tuple[int, int]:
    """Free and total bytes."""
    if sys.platform == "linux":
        rows = dict(
            line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines() if ":" in line
        )
        total, free = (
            int(rows.get(key, "0").split()[0]) * 1024 for key in ("MemTotal", "MemAvailable")
        )
        limits = [(free, total), *memory_limits(cgroups("memory"))]
        return min(free for free, _ in limits), min(total for _, total in limits)
    if sys.platform == "darwin":
        total = int(_run("/usr/sbin/sysctl", "-n", "hw.memsize") or 0)
        return total * 3 // 4, total
    return _windows_memory()


def cgroups(
    controller: str, root: Path = Path("/sys/fs/cgroup"), membership: str | None = None
) -> list[Path]:
    """The folders of this process's cgroup and of those around it, each of which may set a limit (v1 and v2).

    A container may see its own cgroup as the root of the tree; `membership` is the text of /proc/self/cgroup.
    """
    folders = []
    for line in (
        _read(Path("/proc/self/cgroup")) if membership is None else membership
    ).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            base = root / controller if controllers else root
            own = base / path.strip("/")
            folders += [
                folder for folder in (own, *own.parents) if folder == base or base in folder.parents
            ]
    return folders


def memory_limits(folders: Sequence[Path]) -> Iterator[tuple[int, int]]:
    """(bytes free, limit) of each cgroup with a limit; cached files count as free, as the kernel drops them first."""
    for folder in folders:
        for limit_name, used_name, prefix in (
            ("memory.max", "memory.current", ""),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ):
            limit, used = _read(folder / limit_name).strip(), _read(folder / used_name).strip()
            if limit.isdigit() and used.isdigit():
                rows = (line.split() for line in _read(folder / "memory.stat").splitlines())
                files = sum(
                    int(row[1])
                    for row in rows
                    if row[0] in (f"{prefix}inactive_file", f"{prefix}active_file")
                )
                yield min(int(limit), max(0, int(limit) - int(used) + files)), int(limit)


def _windows_memory() -> tuple[int, int]:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *((name, ctypes.c_uint64) for name in "abcdefg"),
        )

    status = Status(length=ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
    return int(status.b), int(status.a)


def _simd() -> tuple[str, ...]:
    """Names as in /proc/cpuinfo, where the first core comes first and is enough."""
    if sys.platform != "linux":
        return ("asimd",) if platform.machine().lower() == "arm64" else ()
    try:
        with Path("/proc/cpuinfo").open() as file:
            flags = set(file.read(8192).lower().replace("\n", " ").split())
    except OSError:
        return ()
    return tuple(name for name in _SIMD.split() if name in flags)


def _vulkan_gpus(summary: str) -> list[str]:
    """Names of the devices in `vulkaninfo --summary` that are GPUs and not a CPU that plays one."""
    kind, names = "", []
    for line in summary.splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "deviceType":
            kind = value
        elif key == "deviceName" and kind.endswith("_GPU"):
            names.append(value)
    return names


def _install(backend: str) -> str:
    """llama-cpp-python's own line for a prebuilt wheel, within the versions that minireason asks for."""
    try:
        requirements = metadata.requires("minireason") or []
    except metadata.PackageNotFoundError:
        requirements = []
    wanted = next(
        (line for line in requirements if line.startswith("llama-cpp-python")), "llama-cpp-python"
    )
    return f"pip install --force-reinstall --only-binary llama-cpp-python --extra-index-url {_WHEELS}/{backend} '{wanted}'"


def _run(program: str, *arguments: str) -> str:
    """What a program prints; nothing if it is not there, fails or hangs."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
