"""Made-up trees of cgroups, and the limits that they set."""

from __future__ import annotations

from pathlib import Path

import pytest

from minireason.host import cgroups, hardware

GIB = 2**30


def folder(path: Path, **files: str) -> Path:
    """A cgroup's folder; memory_max="..." is the content of memory.max, and so on."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("_", ".", 1)).write_text(text)
    return path


def test_every_cgroup_up_to_the_root_may_set_the_limit(tmp_path: Path) -> None:
    folder(tmp_path, memory_max="max\n", memory_current=f"{9 * GIB}\n")
    folder(
        tmp_path / "pod",
        memory_max=f"{4 * GIB}\n",
        memory_current=f"{3 * GIB}\n",
        memory_stat=f"anon 7\ninactive_file {GIB}\n",
    )
    folder(
        tmp_path / "pod" / "box",
        memory_max=f"{8 * GIB}\n",
        memory_current=f"{GIB}\n",
        memory_stat="",
    )
    folders = cgroups.folders("memory", tmp_path, "0::/pod/box\n")
    assert folders == [tmp_path / "pod" / "box", tmp_path / "pod", tmp_path]
    assert list(cgroups.memory_limits(folders)) == [(7 * GIB, 8 * GIB), (2 * GIB, 4 * GIB)]


def test_a_container_of_the_first_version_sees_its_cgroup_as_the_root(tmp_path: Path) -> None:
    base = folder(tmp_path / "memory")
    (base / "memory.limit_in_bytes").write_text(f"{2 * GIB}\n")
    (base / "memory.usage_in_bytes").write_text(f"{GIB}\n")
    folders = cgroups.folders("memory", tmp_path, "4:memory:/docker/abc\n1:cpu,cpuacct:/\n")
    assert list(cgroups.memory_limits(folders)) == [(GIB, 2 * GIB)]


def test_cached_files_do_not_make_more_than_the_limit(tmp_path: Path) -> None:
    stat = "inactive_file 600\nactive_file 900\n"
    folder(tmp_path, memory_max="1000", memory_current="900", memory_stat=stat)
    assert list(cgroups.memory_limits([tmp_path])) == [(1000, 1000)]


def test_a_cpu_quota_of_either_version(tmp_path: Path) -> None:
    second = folder(tmp_path / "second", cpu_max="150000 100000\n")
    first, free = folder(tmp_path / "first"), folder(tmp_path / "free", cpu_max="max 100000\n")
    (first / "cpu.cfs_quota_us").write_text("400000\n")
    (first / "cpu.cfs_period_us").write_text("100000\n")
    assert list(cgroups.cpu_quotas([second, first, free])) == [1.5, 4.0]


def test_a_quota_below_one_cpu_leaves_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, cpu_max="50000 100000\n")
    monkeypatch.setattr(cgroups, "folders", lambda controller: [tmp_path])
    assert hardware.probe().cores == 1
