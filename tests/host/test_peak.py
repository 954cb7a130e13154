"""The most memory that this process ever had."""

from __future__ import annotations

import mmap
import sys

import pytest

from minireason.host import system

TAKEN = 2**28


def take_and_give_back() -> None:
    """Touch every page of TAKEN bytes."""
    with mmap.mmap(-1, TAKEN) as taken:
        for offset in range(0, TAKEN, mmap.PAGESIZE):
            taken[offset] = 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it cannot be forgotten")
def test_a_peak_lasts_until_it_is_forgotten() -> None:
    system.forget_peak()
    before = system.peak_bytes()
    take_and_give_back()
    high = system.peak_bytes()
    assert before
    assert high
    assert high > before + TAKEN // 2
    system.forget_peak()
    low = system.peak_bytes()
    assert low
    assert low < high - TAKEN // 2
