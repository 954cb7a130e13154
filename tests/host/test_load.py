"""How busy others keep the CPUs."""

from __future__ import annotations

import multiprocessing
import sys
import time

import pytest

from minireason.host import load, system
from minireason.host.load import OtherLoad


def test_own_work_is_not_that_of_others() -> None:
    others, until = OtherLoad(), time.process_time() + 0.2
    while time.process_time() < until:
        pass
    if (busy := others.cpus()) is not None:
        assert busy >= 0


@pytest.mark.skipif(sys.platform != "linux", reason="known on Linux only")
def test_the_work_of_another_process_is() -> None:
    others = OtherLoad()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        own_s = pool.apply(sum, (range(20_000_000),)) and others.cpus()
    assert own_s
    assert own_s > 0.05


def test_where_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load.sys, "platform", "win32")
    assert OtherLoad().cpus() is None


@pytest.mark.parametrize(
    ("loadavg", "idle"),
    [("3.08 3.56 3.46 1/211 4571\n", 3), ("0.1 0.2 0.3 6/9 1", -2), ("", None), ("x", None)],
)
def test_idle_cores(loadavg: str, idle: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "read", lambda _: loadavg)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert load.idle_cores() == idle
