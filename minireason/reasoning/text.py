"""Bytes -> text, piece by piece.

Characters may be split over tokens, and stop strings over pieces.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from operator import itemgetter


class Utf8:
    """Incremental UTF-8: a character comes out whole or not at all."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes) -> str:
        return self._decoder.decode(piece)

    @property
    def whole(self) -> bool:
        """Whether the bytes so far end with a character."""
        return not self.unfinished_bytes

    @property
    def unfinished_bytes(self) -> int:
        """How many bytes of a character wait for the rest of it."""
        return len(self._decoder.getstate()[0])

    def save(self) -> tuple[bytes, int]:
        """What `restore` takes."""
        return self._decoder.getstate()

    def restore(self, saved: tuple[bytes, int]) -> None:
        """Go back to what was so when this was saved."""
        self._decoder.setstate(saved)

    def flush(self) -> None:
        """Drop the bytes of an unfinished character."""
        self._decoder.reset()


def held_back(text: str, literals: tuple[str, ...]) -> int:
    """How many characters at the end of the text may be the beginning of one of the literals."""
    longest = max((len(literal) for literal in literals), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(literal.startswith(text[-size:]) for literal in literals):
            return size
    return 0


class StopStrings:
    """Passes text through up to the first stop string.

    What may become one waits until it is decided.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = tuple(strings)
        self._held = ""
        self.matched: str | None = None
        """The stop string that came."""

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come."""
        return self.matched is not None

    def feed(self, text: str) -> str:
        """The text that is safe to show; after a stop string nothing more."""
        if self.stopped:
            return ""
        text = self._held + text
        ends = [(index, stop) for stop in self._strings if (index := text.find(stop)) >= 0]
        if ends:
            index, self.matched = min(ends, key=itemgetter(0))
            self._held = ""
            return text[:index].rstrip()
        held = held_back(text, self._strings)
        shown = (
            text[: len(text) - held].rstrip() if held else text
        )  # white space before a stop string goes with it
        self._held = text[len(shown) :]
        return shown

    def save(self) -> tuple[str, str | None]:
        """What `restore` takes."""
        return self._held, self.matched

    def restore(self, saved: tuple[str, str | None]) -> None:
        """Go back to what was so when this was saved."""
        self._held, self.matched = saved

    def flush(self) -> str:
        """What was held back, once no more can come."""
        held, self._held = self._held, ""
        return held
