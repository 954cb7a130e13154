"""The tokens of one sequence from the last of its prompt on."""

from __future__ import annotations

from typing import Any

from minireason.engine.base import Step, Vocabulary


class Tail:
    """What a sequence has behind its prompt, whose last token stands before it."""

    def __init__(self, vocabulary: Vocabulary, prompt: list[int]) -> None:
        self._vocabulary = vocabulary
        self._tokens = prompt[-1:]

    def __len__(self) -> int:
        """How many tokens there are behind the prompt."""
        return len(self._tokens) - 1

    def last(self, back: int = 0) -> int:
        """The last token, or the one so many before it."""
        return self._tokens[-1 - back]

    def ending(self, size: int) -> tuple[int, bytes]:
        """The last tokens, as many as it takes for so many bytes: their number and their bytes."""
        text, count = b"", 0
        while len(text) < size and count < len(self._tokens):
            text = self._vocabulary.piece(self.last(count)) + text
            count += 1
        return count, text

    def apply(self, step: Step) -> None:
        """Let a step become part of it."""
        if step.drop:
            self._tokens = self._tokens[: -step.drop]  # the list noted before stays as it is
        self._tokens.extend(step.append)

    def save(self) -> tuple[Any, ...]:
        """What `restore` takes."""
        return self._tokens, len(self._tokens)

    def restore(self, saved: tuple[Any, ...]) -> None:
        """Go back to what was so when this was saved."""
        self._tokens, size = saved
        del self._tokens[size:]
