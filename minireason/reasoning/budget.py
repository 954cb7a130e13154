"""When thinking must end, and what is forced into the sequence to end it.

Forced ids go the same way as sampled ones, so what a user sees is always what the model saw.
"""

from __future__ import annotations


class Budget:
    """Counts the thinking and says when it is over; `close_ids` are newline, closing tag and blank line."""

    def __init__(self, limit_tokens: int | None, close_ids: list[int]) -> None:
        self._limit_tokens, self._close_ids = limit_tokens, close_ids
        self.spent = False

    def forced(self, thinking_tokens: int) -> list[int]:
        """The ids to force after this many tokens of thinking: none, or once the closing ones."""
        if self.spent or self._limit_tokens is None or thinking_tokens < self._limit_tokens:
            return []
        self.spent = True
        return self._close_ids
