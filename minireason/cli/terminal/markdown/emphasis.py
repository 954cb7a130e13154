"""Which stars of a line are emphasis marks: those that come in pairs at the boundaries of words.

Not those within words (2*3*4), and no underscores at all, which are a part of names (__init__).
Words of scripts without spaces between them have their boundaries everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass

_STYLES = {1: "italic", 2: "bold", 3: "bold italic"}
_BEFORE_OPENING = "([{\"'“‘«„—–"
_AFTER_CLOSING = ".,:;!?…)]}\"'”’»—–-/|>"


@dataclass(frozen=True, slots=True)
class Span:
    """What stands between two marks, the opening ones at `start` and the closing ones at `end`."""

    start: int
    end: int
    length: int

    @property
    def style(self) -> str:
        return _STYLES[self.length]

    @property
    def marks(self) -> list[int]:
        """Where each star of the two marks stands."""
        return [
            *range(self.start, self.start + self.length),
            *range(self.end, self.end + self.length),
        ]


def emphasised(line: str) -> list[Span]:
    """What is emphasised in a line."""
    spans: list[Span] = []
    waiting: list[tuple[int, int]] = []  # where opening marks stand, and how many stars they have
    lengths: Counter[int] = Counter()
    for run in re.finditer(r"\*+", line):
        at, length = run.start(), len(run[0])
        if length > 3:
            continue
        if _closes(line, at, length):
            while length and (size := _matching(waiting, lengths, length)):
                spans.append(_paired(waiting, lengths, at, size))
                at, length = at + size, length - size
        if length and _opens(line, run.start(), run.end()) and length == len(run[0]):
            waiting.append((at, length))
            lengths[length] += 1
    return spans


def _matching(waiting: list[tuple[int, int]], lengths: Counter[int], length: int) -> int:
    """How many stars of closing marks belong to opening ones that wait; 0 if there are none."""
    if lengths[length]:
        return length
    if not waiting:
        return 0
    innermost = waiting[-1][1]
    return min(innermost, length) if 3 in (innermost, length) else 0


def _paired(waiting: list[tuple[int, int]], lengths: Counter[int], at: int, size: int) -> Span:
    """Take the opening marks that this many closing stars belong to, and all within them."""
    while True:
        start, length = waiting.pop()
        lengths[length] -= 1
        if length == size or not lengths[size]:
            break
    if length > size:
        waiting.append((start, length - size))
        lengths[length - size] += 1
    return Span(start + length - size, at, size)


def _opens(line: str, start: int, end: int) -> bool:
    before, after = line[start - 1 : start], line[end : end + 1]
    if not after or after.isspace():
        return False
    boundary = not before or before.isspace() or before in _BEFORE_OPENING or _is_wide(before)
    if end - start == 1:
        return boundary and (after.isalpha() or after < " " or after in _BEFORE_OPENING)
    boundary = boundary or not (before.isalnum() or before < " " or before in "*\\)]}")
    return boundary and after not in ",;:!?)]}/"


def _closes(line: str, at: int, length: int) -> bool:
    before, after = line[at - 1 : at], line[at + length : at + length + 1]
    if not before or before.isspace() or before in "([{/\\":
        return False
    return not after or after.isspace() or after in _AFTER_CLOSING or _is_wide(after)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF" and not character.isdigit()
