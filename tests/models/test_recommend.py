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
    named = str(recommend.instead(judged, quant.bytes, machine(24)))
    assert named.endswith("; r1-32b:Q4_K_M fits, the strongest R1 distill that does.")


@pytest.mark.parametrize(
    ("bandwidth", "why"),
    [
        (20e9, "fits, the strongest R1 distill that gives at least 4 tokens/s here."),
        (1e9, "fits, the fastest R1 distill, and gives about 0."),
    ],
)
def test_what_is_named_instead_says_why_a_stronger_one_that_fits_is_not(
    bandwidth: float, why: str
) -> None:
    spec, _ = catalog.find("r1-70b")
    here = machine(24, bandwidth)
    judged = recommend.judge_unseen(spec, spec.quants["Q4_K_M"], here)
    assert isinstance(judged, DoesNotFit)
    assert why in str(judged)
    assert "r1-1.5b" in str(judged)
