"""The beginning of a reply, which a conversation may end with: the model goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minireason.errors import UsageError
from minireason.messages import Message, as_messages
from minireason.settings import Settings


@dataclass(frozen=True, slots=True)
class Begun:
    """What there is of a reply; while `answer` is empty, its thought goes on."""

    thinking: str = ""
    answer: str = ""

    def check(self, *, thinks: bool) -> None:
        """Raise UsageError where a model that does not think would have to."""
        if not (self.answer or thinks):
            raise UsageError(
                "This model does not think, so it cannot go on with a thought; "
                "give the assistant's message a content."
            )


def parted(messages: Sequence[Message]) -> tuple[list[Message], Begun | None]:
    """The conversation up to its question, and what there is of a reply to that.

    Raises UsageError where there is no question.
    """
    asked = as_messages(messages)
    begun = _begun(asked[-1]) if asked else None
    if begun:
        asked.pop()
    if not asked or asked[-1]["role"] != "user" or not asked[-1]["content"].strip():
        raise UsageError(
            "There is no question; the last message has to be the user's and must not be empty, "
            "or hold the beginning of the assistant's reply to it."
        )
    return asked, begun


def begun_of(messages: Sequence[Message], settings: Settings) -> Begun:
    """What there is of a reply; raises BadSetting where its answer cannot be gone on with."""
    begun = parted(messages)[1] or Begun()
    if begun.answer:
        settings.check_begun()
    return begun


def _begun(message: Message) -> Begun | None:
    """What a message begins; None for one that is not the assistant's, or that holds nothing."""
    is_begun = message["content"] or "thinking" in message
    if message["role"] != "assistant" or not is_begun:
        return None
    return Begun(message.get("thinking", ""), message["content"])
