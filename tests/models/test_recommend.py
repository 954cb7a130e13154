from __future__ import annotations

import pytest

from minireason import DoesNotFit
from minireason.host.hardware import Hardware
from minireason.models import catalog, recommend


def machine(free_gib: float, bandwidth: float | None = None) -> Hardware:
    free = int(free_gib * 2**30)
    return Hardware(cores=4, free_bytes=free, total_bytes=free, bandwidth_bytes_per_s=bandwidth)


@pytest.mark.parametrize(
    ("free_gib", "best"),
    [
        (0.5, None),
        (3, "r1-1.5b"),
        (5.4, "r1-7b"),
        (8, "r1-0528-8b"),
        (14, "r1-14b"),
        (64, "r1-70b"),
    ],
)
def test_the_best_for_a_machine(free_gib: float, best: str | None) -> None:
    recommended = recommend.best(machine(free_gib))
    assert (recommended[0].name if recommended else None) == best


def test_a_slow_machine_gets_a_smaller_model() -> None:
    quick, slow = recommend.best(machine(64, 400e9)), recommend.best(machine(64, 20e9))
    assert quick
    assert slow
    assert slow[0].params < quick[0].params
    slowest = recommend.best(machine(64, 1e6))
    assert slowest
    assert slowest[0].name == "r1-1.5b"


def test_what_does_not_fit_names_what_would() -> None:
    spec, _ = catalog.find("r1-70b")
    quant = spec.quants["Q4_K_M"]
    judged = recommend.judge(spec, quant, machine(24))
    assert isinstance(judged, DoesNotFit)
    assert judged.needed_bytes > 42e9
    assert "r1-32b:Q4_K_M fits" in str(recommend.instead(judged, quant.bytes, machine(24)))
