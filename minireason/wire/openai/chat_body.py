"""The body of a chat completion: OpenAI's, with what DeepSeek, vLLM and llama-server add to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from minireason.messages import Message
from minireason.settings import Changes, StopRule, VoteChanges
from minireason.wire import thinking
from minireason.wire.body import Body
from minireason.wire.call import Call, WireOf
from minireason.wire.conversation import system_first
from minireason.wire.errors import ApiError
from minireason.wire.openai.chat_wire import ChatStyle, ChatWire
from minireason.wire.openai.fields import (
    MAX_CHOICES,
    Part,
    Sampling,
    StreamWishes,
    Structure,
    Tokens,
    Tools,
    check_tools,
    longest,
    sampling,
    stops,
    structure,
    text_of,
)
from minireason.wire.openai.thought import field_of
from minireason.wire.openai.vote_wire import VoteWire
from minireason.wire.policy import Policy
from minireason.wire.tools import refuse_tools


class ChatMessage(Body):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[Any] | None = None


class VoteFields(Body):
    """What makes a vote of a chat completion, and says how it goes; see `VoteSettings`."""

    samples: Annotated[int, Field(ge=1, le=10_000)] | None = None
    stop_rule: StopRule | None = None
    parallel: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] | None = None
    min_votes: Annotated[int, Field(ge=1)] | None = None
    stop_threshold: Annotated[float, Field(ge=0.5, le=1)] | None = None
    budget_tokens: Annotated[int, Field(ge=1)] | None = None
    budget_s: Annotated[float, Field(ge=0, le=1e9)] | None = None
    instruction: str | None = None


class ChatBody(Sampling, Structure, Tools, VoteFields):
    """The body of a chat completion; fields that it does not name are ignored."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    stream_options: StreamWishes | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: str | list[str] | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    confidences: bool | None = None
    reasoning_effort: str | None = None
    include_reasoning: bool | None = None


def asked(body: ChatBody, plain: dict[str, Any], policy: Policy) -> tuple[Call, WireOf]:
    """What a body asks for, and how its reply is written; `plain` is the body as it came.

    Both can be pickled. Raises ApiError.
    """
    check_tools(body, policy)
    call = Call(
        model=body.model,
        messages=conversation(body.messages, policy),
        changes=_changes(body, thinking.changes(plain)),
        choices=body.n or 1,
        vote=_vote(body),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        confidences=bool(body.confidences),
        stream=bool(body.stream),
    )
    style = ChatStyle(
        field_of(plain, policy.reasoning_field),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )
    if call.vote is not None:
        return call, partial(VoteWire, style=style)
    return call, partial(ChatWire, choices=call.choices, style=style)


def _changes(body: ChatBody, thinking_changes: Changes) -> Changes:
    tokens = body.max_completion_tokens
    if tokens is None:
        tokens = body.max_tokens
    changes = sampling(body) | thinking_changes | longest(tokens)
    return changes | stops(body.stop) | structure(body)


def _vote(body: ChatBody) -> VoteChanges | None:
    """The settings of a vote, None where the body asks for none; raises ApiError."""
    given: Any = {
        name: value
        for name in VoteFields.model_fields
        if (value := getattr(body, name)) is not None
    }
    if not given.keys() & {"samples", "stop_rule", "parallel", "min_votes"}:
        return None
    problems = {
        "n": (body.n or 1) > 1,
        "stop": bool(body.stop),
        "logprobs": bool(body.logprobs),
        "messages": body.messages[-1].role == "assistant",
    }
    for name, problem in problems.items():
        if problem:
            told = f"{name}: a vote (samples, stop_rule, parallel) begins with a question and has "
            raise ApiError(400, f"{told}neither n, stop nor logprobs.", "unsupported_value", name)
    if "stop_rule" in given:
        given["stop"] = given.pop("stop_rule")
    return cast("VoteChanges", given)


def conversation(messages: Sequence[ChatMessage], policy: Policy) -> list[Message]:
    """The messages in our words; raises ApiError.

    A last one of the assistant's is the beginning of the reply, with its thought.
    """
    kept: list[Message] = []
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        if message.role in ("tool", "function") or message.tool_calls:
            refuse_tools(policy, "what a tool was asked or answered", place)
        if message.role in ("tool", "function"):
            continue
        text = text_of(message.content, f"{place}.content")
        if message.role == "assistant":
            thought = message.reasoning_content or message.reasoning
            last = number == len(messages) - 1
            if text or (last and thought):
                kept.append(_said(text, thought if last else None))
        else:
            kept.append(Message(role="user" if message.role == "user" else "system", content=text))
    return system_first(kept)


def _said(text: str, thought: str | None) -> Message:
    if thought is None:
        return Message(role="assistant", content=text)
    return Message(role="assistant", content=text, thinking=thought)
