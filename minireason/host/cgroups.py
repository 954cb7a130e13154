"""The limits of Linux's control groups (v1 and v2), by which a container holds its processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from minireason.host.system import read

_ROOT = Path("/sys/fs/cgroup")
_MEMORY_FILES = (
    ("memory.max", "memory.current", ""),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)
"""Of each version: the limit, what is used, and how the rows of memory.stat begin."""


def folders(controller: str, root: Path = _ROOT, membership: str | None = None) -> list[Path]:
    """The folders of this process's cgroup and of those around it, each of which may set a limit.

    A container may see its own cgroup as the root of the tree. `membership` is the text of
    /proc/self/cgroup.
    """
    if membership is None:
        membership = read(Path("/proc/self/cgroup"))
    around: list[Path] = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        base = root / controller if controllers else root
        own = base / path.strip("/")
        around += [
            folder for folder in (own, *own.parents) if folder == base or base in folder.parents
        ]
    return around


def memory_limits(folders: Sequence[Path]) -> Iterator[tuple[int, int]]:
    """(bytes free, limit) of each cgroup with a limit.

    Cached files count as free, as the kernel drops them first.
    """
    for folder in folders:
        for limit_name, used_name, prefix in _MEMORY_FILES:
            limit, used = read(folder / limit_name).strip(), read(folder / used_name).strip()
            if limit.isdigit() and used.isdigit():
                free = int(limit) - int(used) + _cached_bytes(folder, prefix)
                yield min(int(limit), max(0, free)), int(limit)


def _cached_bytes(folder: Path, prefix: str) -> int:
    kinds = (f"{prefix}inactive_file", f"{prefix}active_file")
    rows = (line.split() for line in read(folder / "memory.stat").splitlines())
    return sum(int(row[1]) for row in rows if row[0] in kinds)


def cpu_quotas(folders: Sequence[Path]) -> Iterator[float]:
    """CPUs that each cgroup may use, for those with a limit."""
    for folder in folders:
        quota, period = (*read(folder / "cpu.max").split(), "", "")[:2]
        if not quota:
            quota = read(folder / "cpu.cfs_quota_us").strip()
            period = read(folder / "cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)
