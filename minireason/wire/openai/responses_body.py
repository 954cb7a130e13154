"""The body of a response: OpenAI's other API, of which nothing is kept between requests."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, WithJsonSchema

from minireason.errors import shown
from minireason.messages import Message
from minireason.settings import Changes
from minireason.wire import thinking
from minireason.wire.body import Body
from minireason.wire.call import Call, WireOf
from minireason.wire.conversation import system_first
from minireason.wire.errors import ApiError
from minireason.wire.openai.fields import (
    Format,
    Part,
    Sampling,
    Tokens,
    Tools,
    check_tools,
    form,
    longest,
    sampling,
    text_of,
)
from minireason.wire.openai.responses_wire import ResponseStyle, ResponseWire
from minireason.wire.openai.thought import field_of
from minireason.wire.policy import Policy
from minireason.wire.tools import refuse_tools

TOOL_ITEMS = ("_call", "_output")
"""How the types of items end that are calls of tools and their results."""

STATEFUL = {
    "previous_response_id": "send the whole conversation as input",
    "conversation": "send the whole conversation as input",
    "background": "leave it out, and wait for the reply",
    "prompt": "send its text as instructions and input",
}
"""Fields that ask for something that is kept, and what to do instead."""

ECHOED = ("instructions", "max_output_tokens", "temperature", "top_p", "text", "reasoning", "user")
"""Fields that a response has from its request."""

Unset: TypeAlias = Annotated[Any, WithJsonSchema({"enum": [None, False]})]
"""A field of STATEFUL."""


class Item(Body):
    """An item of the input: a message or, ignored, a thought."""

    type: str | None = None
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[Part] | None = None


class TextWishes(Body):
    """`text`."""

    format: Format | None = None


class ResponseBody(Sampling, Tools):
    """The body of a response; fields that it does not name are ignored."""

    input: str | Annotated[list[Item], Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: Tokens | None = None
    text: TextWishes | None = None
    reasoning: dict[str, Any] | None = None
    previous_response_id: Unset = None
    conversation: Unset = None
    background: Unset = None
    prompt: Unset = None
    include: list[str] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


def asked(body: ResponseBody, plain: dict[str, Any], policy: Policy) -> tuple[Call, WireOf]:
    """What a body asks for, and how its reply is written; `plain` is the body as it came.

    Both can be pickled. Raises ApiError.
    """
    _refuse_state(body)
    check_tools(body, policy)
    logprobs = "message.output_text.logprobs" in (body.include or ())
    call = Call(
        model=body.model,
        messages=conversation(body, policy),
        changes=_changes(body, thinking.changes(plain)),
        logprobs=(body.top_logprobs or 0) if logprobs else None,
        stream=bool(body.stream),
    )
    style = ResponseStyle(
        {name: plain.get(name) for name in ECHOED},
        shows_thought=field_of(plain, policy.reasoning_field) != "none",
    )
    return call, partial(ResponseWire, style=style)


def _refuse_state(body: ResponseBody) -> None:
    """Raise ApiError where a body relies on what an earlier request left."""
    for name, advice in STATEFUL.items():
        if getattr(body, name):
            problem = f"{name}: nothing is kept between requests; {advice}."
            raise ApiError(400, problem, "unsupported_parameter", name)


def _changes(body: ResponseBody, thinking_changes: Changes) -> Changes:
    asked = body.text.format if body.text else None
    held = form(asked, "text.format") if asked else Changes()
    return sampling(body) | thinking_changes | longest(body.max_output_tokens) | held


def conversation(body: ResponseBody, policy: Policy) -> list[Message]:
    """Instructions and input as messages; raises ApiError. Thoughts among the items are ignored."""
    kept = [Message(role="system", content=body.instructions)] if body.instructions else []
    if isinstance(body.input, str):
        return [*kept, Message(role="user", content=body.input)]
    for number, item in enumerate(body.input):
        place = f"input[{number}]"
        kind = item.type or "message"
        if kind.endswith(TOOL_ITEMS):
            refuse_tools(policy, "what a tool was asked or answered", place)
        if kind == "reasoning" or kind.endswith(TOOL_ITEMS):
            continue
        if kind != "message" or item.role is None:
            raise ApiError(400, _problem(kind, place), "unsupported_value", place)
        role = item.role if item.role in ("user", "assistant") else "system"
        content = text_of(item.content, f"{place}.content")
        if content or role != "assistant":
            kept.append(Message(role=role, content=content))
    return system_first(kept)


def _problem(kind: str, place: str) -> str:
    if kind == "message":
        return f"{place}: a message needs a role."
    return f"{place}: an item of type {shown(kind)} cannot be read; send messages."
