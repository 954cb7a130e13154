"""When a thought must end, so that what is left of the room holds its landing and an answer.

A cut in the middle of a line makes R1 distills go on thinking inside the answer. So a thought whose
budget is used up may finish its line or sentence, within a small grace; then it lands, see
`landing.py`. Forced ids go the same way as sampled ones, so what a user sees is what the model saw;
only of a loop the model sees no more than its first round.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from minireason.events import ThinkingEnd
from minireason.reasoning.landing import Landing, grace
from minireason.reasoning.loops import LoopDetector

_CHARACTER_TOKENS = 4
"""No character has more bytes than this, so a thought is not in the middle of one for longer."""
_TIDY_TOKENS = 64
_TAIL_BYTES = 4
"""As many as the end of a line or of a sentence may have."""

_SENTENCE_ENDS = (b".", b"!", b"?", "。".encode(), "！".encode(), "？".encode())


@dataclass(frozen=True, slots=True)
class Limits:
    """Tokens and seconds of thinking, and the tokens below which a closing tag is refused, once."""

    tokens: int
    seconds: float | None = None
    min_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """The thought ends before the token at hand.

    `end` says why, and `back` how many of its last tokens are rewound first.
    """

    end: ThinkingEnd
    back: int = 0


class Budget:
    """Follows one thought and says when it is over.

    It never has more tokens than its limit and the grace, those rewound and those of its opening
    tag included; only the last token of the model's own closing tag may come after them. Set
    `asked` (from any thread) to end it at once. `before` is what the thought goes on from.
    """

    def __init__(
        self,
        limits: Limits,
        landing: Landing,
        piece: Callable[[int], bytes],
        loops: LoopDetector | None = None,
        before: bytes = b"\n",
    ) -> None:
        self.asked = False
        self.landing = landing
        self._limit, self._grace = limits.tokens, grace(limits.tokens)
        self._seconds, self._min_tokens = limits.seconds, limits.min_tokens
        self._piece, self._loops = piece, loops
        self._tokens: list[int] = []
        self._spent = 0
        """Tokens so far, those before the thought was opened and those rewound included."""
        self._waited = 0
        """How many tokens the end was put off for, since a character was not whole."""
        self._before = before[-_TAIL_BYTES:]
        self._tail = self._before
        self._keep: int | None = None
        self._since: float | None = None

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes; all but `asked`, which comes from elsewhere at any time."""
        limits = self.landing, self._limit, self._grace, self._seconds, self._min_tokens
        place = self._tail, self._spent, self._waited, self._keep, self._since
        loops = self._loops.save() if self._loops else ()
        return limits, place, self._tokens, len(self._tokens), loops

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved."""
        limits, place, self._tokens, size, loops = saved
        del self._tokens[size:]
        self.landing, self._limit, self._grace, self._seconds, self._min_tokens = limits
        self._tail, self._spent, self._waited, self._keep, self._since = place
        if self._loops:
            self._loops.restore(loops)

    def feed(self, token: int) -> None:
        """A token that the thought goes on with."""
        self._spent += 1
        self._tokens.append(token)
        self._tail = (self._tail + self._piece(token))[-_TAIL_BYTES:]
        if self._loops and (loop := self._loops.feed(token)):
            self._keep = self._tidy(loop.begin)

    def feed_unopened(self) -> None:
        """A token before the model opens its thought, or of the opening tag."""
        self._spent += 1

    @property
    def used_up(self) -> bool:
        """Whether not one more token can come."""
        return self._over() >= self._grace

    def limited_to(self, room: int) -> None:
        """There is less room for thinking and answer than there seemed to be."""
        self.landing, longest = self.landing.within(room)
        self._limit = min(self._limit, max(0, longest))
        self._grace = grace(self._limit)

    def refuses(self, tag_tokens: int = 0) -> bool:
        """Whether a closing tag that comes now is too early; once only.

        `tag_tokens` of it were fed already.
        """
        early = len(self._tokens) - tag_tokens < self._min_tokens
        self._min_tokens = 0
        return early

    def cut(self, token: int, unfinished: int = 0) -> Cut | None:
        """Whether the thought ends before this token.

        `unfinished` tokens before it are the beginning of a character or of a tag. The thought goes
        on to the end of that, but never beyond the budget: then they are rewound.
        """
        over = self._over()
        if unfinished and over < self._grace and self._waited < _CHARACTER_TOKENS:
            self._waited += 1
            return None
        self._waited = 0
        if self.asked:
            return Cut("user", unfinished)
        if self._keep is not None:
            return Cut("loop", max(unfinished, len(self._tokens) - self._keep))
        if over < 0 or (over < self._grace and not self._at_end(token)):
            return None
        return Cut("budget", unfinished)

    def after_line(self) -> bool:
        """Whether the thought is at the beginning of a line."""
        return self._tail.endswith(b"\n")

    def rewind(self, tokens: int) -> None:
        """Take the last tokens out of the thought."""
        self._tokens = self._tokens[: len(self._tokens) - tokens]  # the saved list stays as it is
        self._tail = self._before + b"".join(self._piece(token) for token in self._tokens[-4:])

    def _over(self) -> int:
        """Tokens beyond the limit; time that is up sets the limit to what there is."""
        if self._seconds is not None:
            now = time.perf_counter()
            self._since = self._since or now
            if now - self._since >= self._seconds:
                self._limit, self._seconds = min(self._limit, self._spent), None
        return self._spent - self._limit

    def _at_end(self, token: int) -> bool:
        """Whether a line has just ended, or a sentence that this token follows with white space."""
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
