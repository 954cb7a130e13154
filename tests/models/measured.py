"""A measurement as it could have been, for tests."""

from __future__ import annotations

from minireason.models import tuned
from minireason.models.shape import Shape
from minireason.models.tuned import Entry, Place, StepCosts, Tuned

SHAPE = Shape("qwen2", 28, 12, 2, 128, 1536, 8960, 151_936, 131_072, 10**9, False, 10**9)
HERE = Place("0c1e570 AVX2", "AMD EPYC", 2)
COSTS = StepCosts((1, 2, 4, 8), (1.0, 1.2, 1.6, 3.0), 0.25)
TUNED = Tuned(
    flash_attention=True,
    n_ubatch=512,
    n_threads=2,
    repack=True,
    step_s=0.025,
    step_costs=COSTS,
    date="2026-11-29",
)


def entry() -> Entry:
    """It, as it is kept."""
    return Entry(HERE, tuned.shape_key(SHAPE), "the 1.5B shape", "f16", TUNED)
