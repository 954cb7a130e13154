"""Messages of a request -> the messages of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from minireason.messages import Message

BETWEEN = "\n\n"
"""What is put between texts that become one."""


def system_first(messages: Iterable[Message]) -> list[Message]:
    """The messages with one system text, all that there are, at the beginning.

    R1 distills have a place for one system text only, and take the last.
    """
    given = list(messages)
    system = [one["content"] for one in given if one["role"] == "system" and one["content"].strip()]
    others = [one for one in given if one["role"] != "system"]
    return [*([Message(role="system", content=BETWEEN.join(system))] if system else []), *others]


def turns_joined(messages: Sequence[Message]) -> list[Message]:
    """The messages with those that follow one of the same role joined to it."""
    return [_joined(turns) for _, turns in groupby(messages, lambda message: message["role"])]


def _joined(turns: Iterable[Message]) -> Message:
    """One message of several; all texts at once, since there may be thousands."""
    given = list(turns)
    texts = filter(None, (message["content"] for message in given))
    whole = given[0]
    for message in given[1:]:
        whole = {**whole, **message}
    return {**whole, "content": BETWEEN.join(texts)}
