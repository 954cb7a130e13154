"""When a thought must end, and how it lands.

A cut in the middle of a line makes R1 distills go on thinking inside the answer. So a thought whose budget is used up may
finish its line or sentence, within a small grace; then a short message, the closing tag and a blank line are forced, and
the answer comes. Forced ids go the same way as sampled ones, so what a user sees is what the model saw; only of a loop the
model sees no more than its first round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from minireason.events import ThinkingEnd
from minireason.reasoning.loops import LoopDetector

GRACE_TOKENS = 32
_GRACE_SHARE = 4
"""The grace is at most this part of a short budget."""
_CHARACTER_TOKENS = 4
"""No character has more bytes than this, so a thought is not in the middle of one for longer."""
_ANSWER_TOKENS, _SMALL_ANSWER_TOKENS = 2048, 64
_TIDY_TOKENS = 64

FINAL = "**Final Answer**\n"

_SENTENCE_ENDS = (b".", b"!", b"?", "。".encode(), "！".encode(), "？".encode())


def answer_reserve(room: int) -> int:
    """Tokens kept for the answer out of `room` for thinking and answer: a quarter, half of a small one, and at most 2,048."""
    return min(_ANSWER_TOKENS, max(room // 4, min(room // 2, _SMALL_ANSWER_TOKENS)))


def grace(limit: int) -> int:
    """How many tokens a thought may go on to the end of its line or sentence."""
    return min(GRACE_TOKENS, limit // _GRACE_SHARE)


class Landing:
    """What is forced to end a thought, or to open the final answer.

    `encode` gives the ids of text, `close` are those of the closing tag and a blank line, `box` says that the final answer is
    wanted in a \\boxed{}.
    """

    def __init__(
        self,
        encode: Callable[[str], list[int]],
        close: list[int],
        message: str,
        *,
        box: bool = False,
    ) -> None:
        self._encode, self._close = encode, close
        self.message, self.box = message.strip(), box

    def ids(self, after_line: bool) -> list[int]:
        """The message on lines of its own, if there is one, and the end of the thought."""
        lead = "" if after_line else "\n\n" if self.message else "\n"
        return self._encode(f"{lead}{self.message}\n" if self.message else lead) + self._close

    def after_tag(self, tag: str = "") -> list[int]:
        """The blank line that follows the model's own closing tag, of which the end may be missing too."""
        return self._encode(f"{tag}\n\n")

    def reopening(self, after: bool) -> list[int]:
        """The beginning of a final answer, after an answer or in its place."""
        return self._encode(("\n\n" if after else "") + FINAL + ("\\boxed{" if self.box else ""))

    def without_message(self) -> Landing:
        return Landing(self._encode, self._close, "", box=self.box)

    def within(self, room: int, asked: int | None = None) -> tuple[Landing, int]:
        """This landing, without its message where that takes much of the room or room that the thought was asked to have, and
        the longest thought that leaves room for it and for an answer; below 1 if there is none."""
        left = room - answer_reserve(room)
        size = len(self.ids(after_line=False))
        longest = left - size - grace(left - size)
        if self.message and (size * 4 > left or longest < (asked or 0)):
            return self.without_message().within(room)
        return self, longest


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens and seconds of thinking, and the tokens below which a closing tag is refused, once."""

    tokens: int
    seconds: float | None = None
    min_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """The thought ends before the token at hand: why, and how many of its last tokens are taken back first."""

    end: ThinkingEnd
    back: int = 0


class Budget:
    """Follows one thought and says when it is over; set `asked` (from any thread) to end it at once."""

    def __init__(
        self,
        limits: Limits,
        landing: Landing,
        piece: Callable[[int], bytes],
        loops: LoopDetector | None = None,
    ) -> None:
        self.asked = False
        self.landing = landing
        self._limit, self._grace = limits.tokens, grace(limits.tokens)
        self._seconds, self._min_tokens = limits.seconds, limits.min_tokens
        self._piece, self._loops = piece, loops
        self._tokens: list[int] = []
        self._tail = b"\n"
        self._broken = 0
        self._keep: int | None = None
        self._since: float | None = None

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes; all but `asked`, which comes from elsewhere at any time."""
        limits = self.landing, self._limit, self._grace, self._seconds, self._min_tokens
        place = self._tail, self._broken, self._keep, self._since
        loops = self._loops.save() if self._loops else ()
        return limits, place, self._tokens, len(self._tokens), loops

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved."""
        limits, place, self._tokens, size, loops = saved
        del self._tokens[size:]
        self.landing, self._limit, self._grace, self._seconds, self._min_tokens = limits
        self._tail, self._broken, self._keep, self._since = place
        if self._loops:
            self._loops.restore(loops)

    def feed(self, token: int) -> None:
        """A token that the thought goes on with."""
        self._tokens.append(token)
        self._tail = (self._tail + self._piece(token))[-4:]
        if self._loops and (loop := self._loops.feed(token)):
            self._keep = self._tidy(loop.begin)

    def limited_to(self, room: int) -> None:
        """There is less room for thinking and answer than there seemed to be."""
        self.landing, longest = self.landing.within(room)
        self._limit = min(self._limit, max(0, longest))
        self._grace = grace(self._limit)

    def refuses(self, tag_tokens: int = 0) -> bool:
        """Whether a closing tag that comes now, its first tokens fed already, is too early; once only."""
        early = len(self._tokens) - tag_tokens < self._min_tokens
        self._min_tokens = 0
        return early

    def cut(self, token: int, whole: bool) -> Cut | None:
        """Whether the thought ends before this token; not before one that goes on with a character, so say if all are `whole`."""
        if not whole and self._broken < _CHARACTER_TOKENS:
            self._broken += 1
            return None
        self._broken = 0
        if self.asked:
            return Cut("user")
        if self._keep is not None:
            return Cut("loop", len(self._tokens) - self._keep)
        over = self._over()
        if over < 0 or (over < self._grace and not self._at_end(token)):
            return None
        return Cut("budget")

    def after_line(self) -> bool:
        """Whether the thought is at the beginning of a line."""
        return self._tail.endswith(b"\n")

    def took_back(self, tokens: int) -> None:
        """The last tokens are no part of the thought any more."""
        self._tokens = self._tokens[: len(self._tokens) - tokens]  # the saved list stays as it is
        self._tail = b"\n" + b"".join(self._piece(token) for token in self._tokens[-4:])

    def _over(self) -> int:
        """Tokens beyond the limit; time that is up sets the limit to what there is."""
        if self._seconds is not None:
            now = time.perf_counter()
            self._since = self._since or now
            if now - self._since >= self._seconds:
                self._limit, self._seconds = min(self._limit, len(self._tokens)), None
        return len(self._tokens) - self._limit

    def _at_end(self, token: int) -> bool:
        """Whether a line, or a sentence that this token would follow with white space, has just ended."""
        return self.after_line() or (
            self._tail.endswith(_SENTENCE_ENDS) and self._piece(token)[:1].isspace()
        )

    def _tidy(self, begin: int) -> int:
        """The nearest end of a line before an index, else the nearest beginning of a character."""
        pieces = {
            index: self._piece(self._tokens[index - 1])
            for index in range(max(1, begin - _TIDY_TOKENS), begin + 1)
        }
        for index in sorted(pieces, reverse=True):
            if pieces[index].endswith(b"\n"):
                return index
        return next(
            index
            for index in count(begin, -1)
            if index <= 0 or not _continues(self._piece(self._tokens[index]))
        )


def _continues(piece: bytes) -> bool:
    """Whether bytes begin in the middle of a UTF-8 character."""
    return bool(piece) and piece[0] & 0xC0 == 0x80
