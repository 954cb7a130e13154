"""How much to think, in every spelling that clients use -> settings.

A budget in tokens goes before on and off, and that before an effort by name. Unknown levels of
effort count as "medium", and a budget of -1 is no limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minireason.settings import Changes
from minireason.wire.errors import ApiError

BUDGETS = (
    "reasoning_budget_tokens",
    "thinking_budget_tokens",
    "thinking_token_budget",
    "thinking_budget",
    "thinking.budget_tokens",
    "reasoning.max_tokens",
    "chat_template_kwargs.thinking_budget",
    "nvext.max_thinking_tokens",
)
"""Tokens of thinking: llama-server (two), vLLM, Qwen, Anthropic, OpenRouter, SGLang, NIM."""

SWITCHES = (
    "thinking.type",
    "thinking",
    "think",
    "enable_thinking",
    "chat_template_kwargs.enable_thinking",
    "chat_template_kwargs.thinking",
    "reasoning.enabled",
)
"""On or off: Anthropic and DeepSeek, Ollama, Qwen, vLLM and llama-server (two), OpenRouter."""

EFFORTS = ("reasoning_effort", "reasoning.effort", "reasoning", "think", "output_config.effort")
"""By name: OpenAI and DeepSeek, OpenRouter, LM Studio, Ollama, Anthropic."""

MINIMAL_TOKENS = 256
"""What the effort "minimal" is in tokens of thinking."""

_ON = {"enabled": True, "adaptive": True, "disabled": False}
_NOT_BOUNDED = ("xhigh", "max", "ultra")


def changes(body: Mapping[str, Any]) -> Changes:
    """The settings of thinking that a body asks for; raises ApiError for one of a wrong type."""
    for name, value in _given(body, BUDGETS):
        return _budget(name, value)
    switched_on = next(_switches(body), None)
    if switched_on is False:
        return Changes(thinking=False)
    for name, value in _given(body, EFFORTS):
        if isinstance(value, str):
            return _effort(value)
        if not isinstance(value, bool | Mapping):
            raise ApiError(400, f'{name} has to be text such as "low".', "invalid_type", name)
    return Changes()


def _given(body: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The fields that a body has, and their values; None counts as none."""
    for name in names:
        value: Any = body
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            yield name, value


def _budget(name: str, value: Any) -> Changes:
    if isinstance(value, bool) or not isinstance(value, int) or value < -1:
        problem = f"{name} has to be a number of tokens, 0 or more, or -1 for no limit."
        raise ApiError(400, problem, "invalid_value", name)
    return Changes() if value == -1 else Changes(thinking_budget=value)


def _switches(body: Mapping[str, Any]) -> Iterator[bool]:
    """What each switch that is there says."""
    for name, value in _given(body, SWITCHES):
        if isinstance(value, bool):
            yield value
        elif name == "thinking.type" and value in _ON:
            yield _ON[value]
        elif not isinstance(value, str | Mapping) or name.startswith("chat_template_kwargs"):
            raise ApiError(400, f"{name} has to be true or false.", "invalid_type", name)


def _effort(level: str) -> Changes:
    match level.lower():
        case "none" | "off":
            return Changes(thinking=False)
        case "minimal":
            return Changes(thinking_budget=MINIMAL_TOKENS)
        case "low":
            return Changes(effort="low")
        case "high":
            return Changes(effort="high")
        case unbounded if unbounded in _NOT_BOUNDED:
            return Changes()
        case _:
            return Changes(effort="medium")
