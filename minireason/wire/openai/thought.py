"""Where a chat completion has its thought: in fields of its own, within the content, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minireason.reasoning.think import CLOSE, OPEN
from minireason.wire.openai.shapes import compact
from minireason.wire.policy import ReasoningField

_NAMES: dict[ReasoningField, tuple[str, ...]] = {
    "both": ("reasoning_content", "reasoning"),
    "content": ("reasoning_content",),
    "reasoning": ("reasoning",),
}

_FORMATS: dict[object, ReasoningField] = {"none": "inline", "raw": "inline", "hidden": "none"}
"""`reasoning_format` of llama-server and Groq; the other formats are what the server does."""


def field_of(body: Mapping[str, Any], default: ReasoningField) -> ReasoningField:
    """Where a request wants the thought."""
    reasoning = body.get("reasoning")
    excluded = isinstance(reasoning, Mapping) and reasoning.get("exclude") is True
    if excluded or body.get("include_reasoning") is False:
        return "none"
    wanted = body.get("reasoning_format")
    return _FORMATS.get(wanted, default) if isinstance(wanted, str) else default


class Deltas:
    """Writes the text of one reply as the JSON of deltas; "" where there is nothing to write."""

    def __init__(self, field: ReasoningField) -> None:
        names = [f'"{name}":' for name in _NAMES.get(field, ())]
        self._between = [*names[:1], *(f",{name}" for name in names[1:]), ""] if names else []
        self._inline = field == "inline"
        self._open = self._on_new_line = False

    def thinking(self, text: str) -> str:
        """A piece of the thought."""
        if self._between:
            return "{" + compact(text).join(self._between) + "}"
        if not self._inline or not text:
            return ""
        before = "" if self._open else f"{OPEN}\n"
        self._open, self._on_new_line = True, text.endswith("\n")
        return _content(before + text)

    def answer(self, text: str) -> str:
        """A piece of the answer."""
        return _content(self._closing() + text)

    def end(self) -> str:
        """What is still missing at the end: the closing tag of a thought that nothing followed."""
        closing = self._closing()
        return _content(closing) if closing else ""

    def _closing(self) -> str:
        if not self._open:
            return ""
        self._open = False
        return f"{CLOSE}\n\n" if self._on_new_line else f"\n{CLOSE}\n\n"


def _content(text: str) -> str:
    return f'{{"content":{compact(text)}}}'


def message(field: ReasoningField, thinking: str, answer: str) -> dict[str, Any]:
    """A whole message: what the deltas of a stream add up to."""
    told: dict[str, Any] = {"role": "assistant", "content": answer}
    if field == "inline" and thinking:
        before = thinking if thinking.endswith("\n") else f"{thinking}\n"
        told["content"] = f"{OPEN}\n{before}{CLOSE}\n\n{answer}"
    if thinking:
        told |= dict.fromkeys(_NAMES.get(field, ()), thinking)
    return told
