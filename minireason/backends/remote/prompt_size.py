"""How many tokens a prompt has on a server, whose vocabulary is not here."""

from __future__ import annotations

from collections.abc import Sequence

from minireason.backends.remote.tally import CHARS_PER_TOKEN
from minireason.messages import Message
from minireason.reasoning.begun import Begun, parted

_LEAST = 64
"""Of a prompt that is guessed to be shorter, most tokens may be those of the template."""

_MOST_FACTOR = 12.0
"""A server that tells more than three tokens a character is not believed."""


class PromptSize:
    """Guesses the tokens of a prompt, and corrects that by what the server told of another.

    Four characters a token are English. Digits, code and many scripts have more tokens, up to
    some a character, and the turns of a conversation have to leave its prompt by the true count.
    """

    def __init__(self) -> None:
        self._factor = 1.0

    def count(self, messages: Sequence[Message]) -> int:
        """About how many tokens the prompt of these messages has; raises UsageError."""
        return round(_guess(messages) * self._factor)

    def too_long(self, tokens: int, n_ctx: int) -> bool:
        """Whether a prompt that was counted so is too long, even if it is English."""
        return tokens >= n_ctx * max(1.0, self._factor)

    def told(self, messages: Sequence[Message], tokens: int | None) -> None:
        """The server says that the prompt of these messages has so many tokens, or nothing."""
        guess = _guess(messages)
        if tokens is not None and guess >= _LEAST:
            self._factor = min(_MOST_FACTOR, tokens / guess)


def _guess(messages: Sequence[Message]) -> int:
    asked, begun = parted(messages)
    begun = begun or Begun()
    texts = [message["content"] for message in asked] + [begun.thinking, begun.answer]
    return sum(len(text) // CHARS_PER_TOKEN for text in texts) + CHARS_PER_TOKEN * len(asked)
