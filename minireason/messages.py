"""What goes in: the messages of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NotRequired, TypedDict

from minireason.errors import UsageError, shown


class Message(TypedDict):
    """One turn of a conversation; `role` is "system", "user" or "assistant".

    A conversation may end with the assistant's, which the reply then goes on with: with its
    content or, where that is empty, with its `thinking`. Earlier messages need no `thinking`; it is
    ignored there, as old thoughts are dropped.
    """

    role: str
    content: str
    thinking: NotRequired[str]


ROLES = ("system", "user", "assistant")


def as_messages(question: str | Sequence[Message]) -> list[Message]:
    """The messages of a conversation; a question alone is the only one. Raises UsageError."""
    if isinstance(question, str):
        question = [Message(role="user", content=question)]
    if not isinstance(question, Iterable) or isinstance(question, bytes | bytearray | Mapping):
        raise UsageError(f"A question is text or a list of messages, and not {shown(question)}.")
    return [_as_message(number, message) for number, message in enumerate(question, 1)]


def as_question(question: str) -> str:
    """The text of one question in a conversation; raises UsageError if it is none."""
    if not isinstance(question, str):
        raise UsageError(f"A question in a conversation is text, and not {shown(question)}.")
    return question


def _as_message(number: int, message: object) -> Message:
    if not isinstance(message, Mapping):
        example = '{"role": "user", "content": "..."}'
        raise UsageError(f"Message {number} has to be a dict {example}, and is {shown(message)}.")
    role, content = message.get("role"), message.get("content")
    if role not in ROLES or not isinstance(content, str):
        known = ", ".join(ROLES)
        raise UsageError(
            f"Message {number} needs a role out of {known} and a content that is text."
        )
    if "thinking" not in message:
        _check_unicode(number, content)
        return Message(role=role, content=content)
    thinking = message["thinking"]
    if role != "assistant" or not isinstance(thinking, str):
        raise UsageError(
            f"The thinking of message {number} has to be text, and only the assistant's have any."
        )
    _check_unicode(number, content + thinking)
    return Message(role=role, content=content, thinking=thinking)


def _check_unicode(number: int, text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(
            f"Message {number} holds characters that are not valid Unicode; remove them."
        ) from None
