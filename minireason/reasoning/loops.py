"""Is this thought going round in circles? On token ids alone, at about two microseconds a token.

Two signs: the same passage at least four times in a row, to the token; and a long stretch that says little new, because
a few sentences come back in any order or with a counter in them. Sampling penalties do not cure loops and harm ordinary
text, so none is used; a loop is found, and the thought is landed (see `budget.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

EVERY_TOKENS = 32
GRAM = 16
REPEATS = 4
CYCLE_TOKENS = 128
"""An exact cycle covers at least this much ..."""
PLAIN_CYCLE_TOKENS = 1024
"""... and this much if there is no letter in it: zeros of a long number, rules and empty cells of a table."""
WINDOWS = ((1024, 256), (4096, 1024))
"""Stretches looked at for variety, and how often; the second sees passages of several hundred tokens come back."""
NEW_SHARE = 0.2
"""A stretch in which fewer of the 16-grams than this are different says little new."""

_KEPT = WINDOWS[-1][0]


@dataclass(frozen=True, slots=True)
class Loop:
    """Where the repetition begins, counted in tokens fed: what is new ends at `begin`, the first time it is said."""

    begin: int


class LoopDetector:
    """Feed it the tokens of a thought; `piece` gives the bytes of a token and is asked about suspects only."""

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        self._piece = piece
        self.fed = 0
        # Token ids as characters: comparing and searching strings runs in C. Python has room for 1,114,112 of them.
        self._text = ""
        self._new: list[str] = []

    def feed(self, token: int) -> Loop | None:
        """The loop that these tokens have fallen into, None while there is none."""
        self.fed += 1
        self._new.append(chr(token))
        if self.fed % EVERY_TOKENS:
            return None
        self._text = (self._text + "".join(self._new))[-_KEPT:]
        self._new.clear()
        return self._cycle() or next((loop for size, every in WINDOWS if self.fed % every == 0 and (loop := self._stale(size))), None)

    def _cycle(self) -> Loop | None:
        """An exact cycle up to here. Its length is the distance to where the last tokens stood before."""
        text, end = self._text, len(self._text)
        tail = text[-GRAM:]
        at = text.rfind(tail, 0, end - 1)
        for _ in range(REPEATS):  # the tail may come more than once in a cycle
            period = end - GRAM - at
            if at < 0 or period * REPEATS > end:
                return None
            length = self._covered(period)
            if length >= max(REPEATS * period, CYCLE_TOKENS) and (length >= PLAIN_CYCLE_TOKENS or self._has_letters(text[-period:])):
                return Loop(self.fed - length + period)
            at = text.rfind(tail, 0, at + GRAM - 1)
        return None

    def _covered(self, period: int) -> int:
        """How many tokens up to here repeat with this period, the first time included."""
        text, end = self._text, len(self._text)
        start = end - period
        while start >= period and text[start - period : start] == text[start : start + period]:
            start -= period
        while start > 0 and text[start - 1] == text[start + period - 1]:
            start -= 1
        return end - start

    def _stale(self, size: int) -> Loop | None:
        """Little variety in the last `size` tokens."""
        text = self._text[-size:]
        if len(text) < size:
            return None
        grams = size - GRAM + 1
        different = len({text[index : index + GRAM] for index in range(grams)})
        if different >= NEW_SHARE * grams or not self._has_letters(text):
            return None
        return Loop(self.fed - size + different)

    def _has_letters(self, text: str) -> bool:
        """Whether a fair part of the tokens have letters; tables, rules and long numbers have few."""
        lettered = (char for char in set(text) if any(byte >= 0x80 or chr(byte).isalpha() for byte in self._piece(ord(char))))
        return sum(text.count(char) for char in lettered) * 3 >= len(text)
