"""What is forced to end a thought before its time, and to open the final answer.

"Landing" is our own word: a thought that is cut short gets a short message, its closing tag and a
blank line, and the answer comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

GRACE_TOKENS = 32
_GRACE_SHARE = 4
"""The grace is at most this part of a short budget."""
_ANSWER_TOKENS, _SMALL_ANSWER_TOKENS = 2048, 64

FINAL = "**Final Answer**\n"


def answer_reserve(room: int) -> int:
    """Tokens kept for the answer out of `room` for thinking and answer.

    A quarter, half of a small room, and at most 2,048.
    """
    return min(_ANSWER_TOKENS, max(room // 4, min(room // 2, _SMALL_ANSWER_TOKENS)))


def grace(limit: int) -> int:
    """How many tokens a thought may go on to the end of its line or sentence."""
    return min(GRACE_TOKENS, limit // _GRACE_SHARE)


class Landing:
    """The tokens that end a thought, or open the final answer.

    `encode` gives the ids of text, `opening` are those of the opening tag and a new line, `close`
    those of the closing tag and a blank line; `box` says that the final answer is wanted in a
    \\boxed{}.
    """

    def __init__(
        self,
        encode: Callable[[str], list[int]],
        close: Sequence[int],
        message: str,
        *,
        opening: Sequence[int] = (),
        box: bool = False,
    ) -> None:
        self._encode, self._opening, self._close = encode, list(opening), list(close)
        self.message, self.box = message.strip(), box

    def ids(self, after_line: bool) -> list[int]:
        """The message on lines of its own, if there is one, and the end of the thought."""
        gap = "\n\n" if self.message else "\n"
        lead = "" if after_line else gap
        return self._encode(f"{lead}{self.message}\n" if self.message else lead) + self._close

    def whole(self) -> list[int]:
        """A whole thought of nothing but the message, where the model has opened none."""
        return self._opening + self.ids(after_line=True)

    def again(self, text: str) -> list[int]:
        """Text that was rewound with what came after it."""
        return self._encode(text)

    def after_tag(self, tag: str = "") -> list[int]:
        """The blank line that follows the model's own closing tag.

        `tag` is the end of that tag, if it is missing too.
        """
        return self._encode(f"{tag}\n\n")

    def reopening(self, after: bool) -> list[int]:
        """The beginning of a final answer, after an answer or in its place."""
        return self._encode(("\n\n" if after else "") + FINAL + ("\\boxed{" if self.box else ""))

    def without_message(self) -> Landing:
        """The same without a message."""
        return Landing(self._encode, self._close, "", opening=self._opening, box=self.box)

    def within(self, room: int, requested: int | None = None) -> tuple[Landing, int]:
        """This landing, and the longest thought that leaves room for it and for an answer.

        Below 1 if there is no such thought. The message is left out where it takes much of the
        room, or room that the thought was requested to have.
        """
        left = room - answer_reserve(room)
        size = len(self.ids(after_line=False))
        longest = left - size - grace(left - size)
        if self.message and (size * 4 > left or longest < (requested or 0)):
            return self.without_message().within(room)
        return self, longest
