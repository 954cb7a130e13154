"""How the thought of a reply ended: by what we did, what the server tells, what its text shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from minireason.backends.remote.request import Request
from minireason.backends.remote.tally import Tally
from minireason.events import ThinkingEnd


class ThoughtEnd:
    """What is known of the end of one reply's thought."""

    def __init__(self, request: Request) -> None:
        self.landed: ThinkingEnd | None = None
        """Why it was landed; None where it was not."""

        self.told: Mapping[str, Any] = {}
        """What our own server tells beside the reply."""

        self._landing = request.told_landing
        self._budget = request.settings.thinking_tokens

    def of(self, thinking: str, answer: str, tally: Tally) -> ThinkingEnd | None:
        """How the thought ended, once all text is there; None where the server tells none.

        A landing that the server has put in is counted among the forced tokens of the `tally`.
        """
        self._note_landing(thinking, tally)
        if "thinking_end" in self.told:
            told = self.told["thinking_end"]
            if told == "user" and self.landed is not None:
                return self.landed  # our request to end it; the server cannot know why it came
            return told if told in get_args(ThinkingEnd) else None
        if thinking and not answer:
            return "unclosed"
        if self.landed is not None:
            return self.landed
        if not thinking:
            return "skipped"
        is_full = self._budget is not None and tally.thinking >= self._budget
        shows = bool(self._landing.strip())
        return "budget" if is_full and not shows else "natural"

    def _note_landing(self, thinking: str, tally: Tally) -> None:
        """See whether the server has put in the landing that it was told."""
        landing = self._landing.strip()
        if landing and thinking.endswith(landing):
            self.landed = self.landed or "budget"
            own = thinking.removesuffix(landing).rstrip()
            tally.force(len(self._landing) / (len(own) + len(self._landing)))
