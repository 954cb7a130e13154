"""Drafting as much as there is room for, whether it gains or not: for tests of what it changes."""

from __future__ import annotations

from collections.abc import Sequence

from minireason.engine.speculation_gain import SpeculationGain


class AlwaysDraft(SpeculationGain):
    """Finds that every draft gains."""

    def best(self, chances: Sequence[float], most: int) -> int:
        return max(0, min(most, len(chances)))
