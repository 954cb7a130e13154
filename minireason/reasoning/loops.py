"""Is this thought going round in circles? On token ids alone, at about a microsecond a token.

Two signs: the same passage at least four times in a row, to the token; and a long stretch made of
passages that came before, in any order or with a counter between them. Where numbers change in
every line, as in tables, lists and trying out one number after another, few passages are as long as
that. Sampling penalties do not cure loops and harm ordinary text, so none is used; a loop is found,
and the thought is landed (see `budget.py`). `bench/thinking.py` measures it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

EVERY_TOKENS = 32
GRAM, LONG_GRAM = 16, 32
"""A passage has at least this many tokens.

The second is for text of few words, where a token says less.
"""
REPEATS = 4
CYCLE_TOKENS = 128
"""An exact cycle covers at least this much ..."""
PLAIN_CYCLE_TOKENS = 1024
"""... and this much if there is no letter in it.

That is zeros of a long number, rules and empty cells of a table.
"""
WINDOWS = ((1024, 256), (4096, 1024))
"""Stretches looked at for what comes back, and how often.

The second sees passages of several hundred tokens.
"""
RESTATED_TOKENS, RESTATED_WINDOW = 128, (512, 64)
"""Where so many tokens in a row say word for word what was said before, so that every draft of them
comes true (see `engine.drafting`), a shorter stretch is looked at too.

Found here, and not told by whoever drafts: a text must not depend on whether it was drafted.
"""
LOOP_SHARE = 0.6
"""A loop takes up at least this much of such a stretch ..."""
NEW_SHARE = 0.1
"""... and no more of its tokens than this are new."""
_NEW_WEIGHT = 3
"""Before a loop begins, more than one token in four is new."""
_WORDS, _LETTERS, _FEW_LETTERS = 1 / 4, 1 / 3, 1 / 6
"""Of the tokens of ordinary text more than a quarter are words.

Of cycles and stretches that may be a table, so many have letters.
"""

_KEPT = WINDOWS[-1][0]


@dataclass(frozen=True, slots=True)
class Loop:
    """Where the repetition begins, counted in tokens fed.

    What is new ends at `begin`, the first time it is said.
    """

    begin: int


class LoopDetector:
    """Feed it the tokens of a thought.

    `piece` gives the bytes of a token and is asked about suspects only.
    """

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        self._piece = piece
        self.fed = 0
        # Token ids as characters: comparing and searching strings runs in C. Python has room for
        # 1,114,112 of them.
        self._text = ""
        self._new: list[str] = []

    def feed(self, token: int) -> Loop | None:
        """The loop that these tokens have fallen into, None while there is none."""
        self.fed += 1
        self._new.append(chr(token))
        if self.fed % EVERY_TOKENS:
            return None
        self._text = (self._text + "".join(self._new))[-_KEPT:]
        self._new = []
        windows = (*WINDOWS, RESTATED_WINDOW) if self._restates() else WINDOWS
        return self._cycle() or next(
            (
                loop
                for size, every in windows
                if self.fed % every == 0 and (loop := self._stale(size))
            ),
            None,
        )

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        return self.fed, self._text, self._new, len(self._new)

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved."""
        self.fed, self._text, self._new, size = saved
        del self._new[size:]

    def _restates(self) -> bool:
        """Whether the last RESTATED_TOKENS came before, in this order."""
        text = self._text
        return len(text) > RESTATED_TOKENS and text.find(text[-RESTATED_TOKENS:], 0, -1) >= 0

    def _cycle(self) -> Loop | None:
        """An exact cycle up to here.

        Its length is the distance to where the last tokens stood before.
        """
        text, end = self._text, len(self._text)
        tail = text[-GRAM:]
        at = text.rfind(tail, 0, end - 1)
        for _ in range(REPEATS):  # the tail may come more than once in a cycle
            period = end - GRAM - at
            if at < 0 or period * REPEATS > end:
                return None
            length = self._covered(period)
            if length >= max(REPEATS * period, self._least(text[-period:])):
                return Loop(self.fed - length + period)
            at = text.rfind(tail, 0, at + GRAM - 1)
        return None

    def _least(self, cycle: str) -> int:
        return CYCLE_TOKENS if self._share(cycle, letters=1) >= _LETTERS else PLAIN_CYCLE_TOKENS

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
        """A long end of the last `size` tokens that was said before."""
        text = self._text[-size:]
        if len(text) < size or not (said := _said(text, GRAM)):
            return None
        if size < _KEPT and self._share(text, letters=1) < _FEW_LETTERS:
            return None
        if self._share(text, letters=2) < _WORDS:
            said = _said(text, LONG_GRAM)
        begin = _begin(said)
        length = len(said) - begin
        if length < LOOP_SHARE * size or said.count(0, begin) > NEW_SHARE * length:
            return None
        return Loop(self.fed - length)

    def _share(self, text: str, letters: int) -> float:
        """The share of tokens with so many letters.

        One leaves out digits, rules and empty cells, two say which are words.
        """
        lettered = (char for char in set(text) if _letters(self._piece(ord(char))) >= letters)
        return sum(text.count(char) for char in lettered) / len(text)


def _letters(piece: bytes) -> int:
    return sum(byte >= 0x80 or chr(byte).isalpha() for byte in piece)


def _said(text: str, gram: int) -> bytearray:
    """For each token 1 if it is part of a passage that came before and comes often, else 0.

    Empty if few can be.
    """
    grams = [text[index : index + gram] for index in range(len(text) - gram + 1)]
    often = {passage: count for passage, count in Counter(grams).items() if count >= REPEATS}
    if sum(often.values()) < LOOP_SHARE / 2 * len(text):
        return bytearray()
    said, seen, ones = bytearray(len(text)), set(), b"\1" * gram
    for index, passage in enumerate(grams):
        if passage in seen:
            said[index : index + gram] = ones
        elif passage in often:
            seen.add(passage)
    return said


def _begin(said: bytearray) -> int:
    """Where the end begins of which most was said before.

    It is the one with the largest sum, a token said counting 1 and a new one less than 0.
    """
    best = total = 0
    begin = len(said)
    for index in range(len(said) - 1, -1, -1):
        total += 1 if said[index] else -_NEW_WEIGHT
        if total > best:
            best, begin = total, index
    return begin
