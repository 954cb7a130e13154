"""Anthropic's messages and content blocks -> messages of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minireason.messages import Message
from minireason.server.settings import ServerSettings
from minireason.wire.conversation import system_first, turns_joined
from minireason.wire.errors import ApiError
from minireason.wire.tools import refuse_tools

_THOUGHTS = ("thinking", "redacted_thinking")


def conversation(
    system: object, turns: Sequence[tuple[str, object]], settings: ServerSettings
) -> list[Message]:
    """The messages that `system` and the role and content of each message come to.

    What is left out (thoughts, and tools where they are ignored) may leave a message without
    anything, which then is left out too. Raises ApiError 400.
    """
    messages = [] if system is None else [_message("system", system, "system", settings)]
    for number, (role, content) in enumerate(turns):
        messages.append(_message(role, content, f"messages[{number}].content", settings))
    last = messages[-1]
    if not last["content"].strip():
        thought = _thought(turns[-1][1]) if last["role"] == "assistant" else ""
        if not thought:
            problem = "The last message has no text; it has to ask something."
            raise ApiError(400, problem, "invalid_value", "messages")
        last["thinking"] = thought
    return turns_joined(system_first(one for one in messages if one["content"] or one is last))


def _message(role: str, content: object, place: str, settings: ServerSettings) -> Message:
    return Message(role=role, content=_text(content, place, settings))


def _text(content: object, place: str, settings: ServerSettings) -> str:
    """The text of a content, which is text or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        problem = f"{place} has to be text or a list of content blocks."
        raise ApiError(400, problem, "invalid_type", place)
    texts = [_block(block, f"{place}[{number}]", settings) for number, block in enumerate(content)]
    return "\n".join(text for text in texts if text)


def _block(block: Any, place: str, settings: ServerSettings) -> str:
    """The text of a block, "" of one that is left out."""
    kind = block.get("type") if isinstance(block, Mapping) else None
    if not isinstance(kind, str):
        problem = f'{place} has to be a content block such as {{"type": "text", "text": "..."}}.'
        raise ApiError(400, problem, "invalid_type", place)
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise ApiError(400, f"{place}.text has to be text.", "invalid_type", f"{place}.text")
        return str(block["text"])
    if kind in _THOUGHTS:
        return ""
    if kind.endswith(("tool_use", "tool_result")):
        refuse_tools(settings, f"a block of the type {kind}", place)
        return ""
    problem = f"{place}: a block of the type {kind[:40]!r} cannot be read; send text."
    raise ApiError(400, problem, "unsupported", place)


def _thought(content: object) -> str:
    """The thinking within a content; what has been let through by `_text`."""
    blocks = content if isinstance(content, list) else []
    thoughts = [block.get("thinking") for block in blocks if block["type"] == "thinking"]
    return "".join(thought for thought in thoughts if isinstance(thought, str))
