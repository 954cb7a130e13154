"""Which part of a conversation goes into the prompt."""

from __future__ import annotations

from minireason.backends.base import Backend
from minireason.conversation.history import History
from minireason.messages import Message
from minireason.reasoning.length import most_that_fit


class Window:
    """The newest turns, as many as fit.

    Once a prompt takes more than half of the context, the oldest turns leave it until it takes a
    third, so that the cached beginning of the prompt stays the same for a while. `left_out` says
    how many are out.
    """

    def __init__(self) -> None:
        self.left_out = 0

    def fit(
        self, history: History, question: str, backend: Backend, *, replaced: bool
    ) -> list[Message]:
        """The messages before a question, which takes the place of the last turn if `replaced`."""
        turns = len(history.turns) - replaced
        asked = Message(role="user", content=question.strip() or "?")

        def messages(kept: int) -> list[Message]:
            whole = history.messages(turns - kept)
            return whole[:-2] if replaced else whole

        def fits(kept: int, most: int) -> bool:
            prompt = [*messages(kept), asked]
            return backend.count_tokens(prompt, at_most=most) <= most

        kept = max(0, turns - self.left_out)
        if kept and not fits(kept, backend.n_ctx // 2):
            kept = most_that_fit(lambda count: fits(count, backend.n_ctx // 3), kept)
            self.left_out = turns - kept
        return messages(kept)
