"""Whose tokens give logits that are not finite, where the cells of all sequences lie in one cache.

What a damaged weight makes of a token, a NaN for one, stays in the cells of its sequence. Without
flash attention every other sequence's logits then are NaN too, for as long as the cells hold it
(tiny: 262 of 262 logits, also after the slot was trimmed). So the cache is wiped, and each sequence
is computed alone until it gives a token: who does not has failed.
"""

from __future__ import annotations

from collections.abc import Iterable

from minireason.engine.sequence import Sequence, Slot


class Quarantine:
    """The sequences that were in the cache when logits were not finite, and have given no token
    since."""

    def __init__(self) -> None:
        self._suspects: list[Sequence] = []

    def begin(self, sequences: Iterable[Sequence]) -> None:
        """Suspect these from now on."""
        self._suspects = list(sequences)

    def holds(self, sequence: Sequence) -> bool:
        """Whether a sequence is suspected; it is alone in its batch then."""
        return sequence in self._suspects

    def release(self, sequence: Sequence) -> None:
        """It gave a token or has ended."""
        if sequence in self._suspects:
            self._suspects.remove(sequence)

    def runnable(self, live: list[tuple[Slot, Sequence]]) -> list[tuple[Slot, Sequence]]:
        """Which of those that could go on may: one suspect alone, or all if none is among them."""
        if not self._suspects:
            return live
        first = next((item for item in live if item[1] in self._suspects), None)
        return live if first is None else [first]
