"""How many tokens a reply has: counted by its pieces, and told by the server at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minireason.backends.remote import pieces
from minireason.events import Usage

CHARS_PER_TOKEN = 4
"""What a token is taken to have where a piece holds more than one, and in prompts."""

_PIECE_CHARS = 24
"""No token of ordinary text has more characters, so a longer piece holds several."""


def estimate(text: str) -> int:
    """How many tokens a piece of a reply has: one, unless it is long."""
    if not text:
        return 0
    return 1 if len(text) <= _PIECE_CHARS else -(-len(text) // CHARS_PER_TOKEN)


class Tally:
    """Counts the tokens of one reply, which several requests may make up."""

    def __init__(self, prompt_tokens: int) -> None:
        self.thinking = self.answer = self.forced = 0
        self.estimated = True
        """Whether any of these counts, or the prompt's, are not the server's."""
        self._prompt_told = False
        self._prompt, self._cached = prompt_tokens, 0
        self.prompt_told: int | None = None
        """Tokens of the prompt as the server tells them."""
        self._most = 0
        self._before = 0, 0
        """Thinking and answer of earlier requests."""

    @property
    def total(self) -> int:
        """All tokens; never fewer than before."""
        self._most = max(self._most, self.thinking + self.answer + self.forced)
        return self._most

    def next_request(self) -> None:
        """What comes now is of another request."""
        self._before = self.thinking, self.answer

    def force(self, share: float) -> None:
        """So much of the thought, 0 to 1, was put in by the server."""
        forced = round(self.thinking * share)
        self.thinking -= forced
        self.forced += forced

    def told(self, usage: Mapping[str, Any], forced: int = 0) -> None:
        """What the server says of the request at hand; `forced` tokens were put in by itself."""
        prompt = pieces.count(usage, "prompt_tokens")
        if prompt is not None and self._before == (0, 0):
            self._prompt = self.prompt_told = prompt
            self._cached = pieces.count(usage, "prompt_tokens_details", "cached_tokens") or 0
            self._prompt_told = True
        whole = pieces.count(usage, "completion_tokens")
        if whole is None:
            return
        self.forced = max(self.forced, forced)
        told = pieces.count(usage, "completion_tokens_details", "reasoning_tokens")
        self.estimated = not self._prompt_told or (self.thinking > 0 and not told)
        thinking = self._thinking_of(told, whole) - forced
        self.thinking = self._before[0] + max(0, thinking)
        self.answer = self._before[1] + max(0, whole - forced - max(0, thinking))

    def _thinking_of(self, told: int | None, whole: int) -> int:
        """Thinking out of a request's tokens: as told, else by the share of what was counted."""
        if told:
            return min(told, whole)
        thinking, answer = self.thinking - self._before[0], self.answer - self._before[1]
        return round(whole * thinking / (thinking + answer)) if thinking else 0

    def usage(self) -> Usage:
        """The counts of the reply."""
        cached = min(self._cached, self._prompt)
        return Usage(self._prompt, cached, self.thinking, self.answer, self.forced)
