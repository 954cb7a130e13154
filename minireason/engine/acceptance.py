"""How often a draft comes true, by how long a match it rests on."""

from __future__ import annotations

_STEPS = (4, 8, 16, 32)
"""Matches up to these lengths are counted together, and all longer ones."""

_PRIOR = (0.4, 0.6, 0.8, 0.9, 0.95)
_PRIOR_WEIGHT = 4.0
_KEPT = 0.97
"""What is left of the weight of an observation when another one of its kind comes."""


class Acceptance:
    """A running share of tokens that came as foreseen, for each class of match lengths."""

    def __init__(self) -> None:
        self._seen = [_PRIOR_WEIGHT] * len(_PRIOR)
        self._right = [_PRIOR_WEIGHT * share for share in _PRIOR]

    def note(self, length: int, right: bool) -> None:
        """Note whether the token after a match of this length came as foreseen."""
        kind = _kind(length)
        self._seen[kind] = self._seen[kind] * _KEPT + 1
        self._right[kind] = self._right[kind] * _KEPT + right

    def chance(self, length: int) -> float:
        """How likely the token after a match of this length comes as foreseen."""
        kind = _kind(length)
        return self._right[kind] / self._seen[kind]


def _kind(length: int) -> int:
    for kind, most in enumerate(_STEPS):
        if length <= most:
            return kind
    return len(_STEPS)
