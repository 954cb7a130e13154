"""POST /v1/responses: OpenAI's other API; the server keeps nothing between its requests."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from minireason.errors import shown
from minireason.messages import Message
from minireason.server import thinking
from minireason.server.answering import Answer
from minireason.server.base import Server
from minireason.server.body import Body, read
from minireason.server.call import Call, Origin, Wire
from minireason.server.conversation import system_first
from minireason.server.errors import ApiError
from minireason.server.openai import schemas as openai_schemas
from minireason.server.openai.fields import (
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
from minireason.server.openai.responses_wire import ResponseStyle, ResponseWire
from minireason.server.openai.shapes import error_shape
from minireason.server.openai.thought import field_of
from minireason.server.operation import Operation
from minireason.server.settings import ServerSettings
from minireason.server.tools import refuse_tools
from minireason.settings import Changes

PATH = "/v1/responses"

TOOL_ITEMS = ("_call", "_output")
"""How the types of items end that are calls of tools and their results."""

STATEFUL = {
    "previous_response_id": "send the whole conversation as input",
    "conversation": "send the whole conversation as input",
    "background": "wait for the reply, or stream it",
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


async def responses(request: Request) -> Response:
    """Answer a response."""
    body, plain = await read(request, ResponseBody)
    server: Server = request.app.state.server
    _refuse_state(body)
    check_tools(body, server.settings)
    logprobs = "message.output_text.logprobs" in (body.include or ())
    call = Call(
        model=body.model,
        messages=conversation(body, server.settings),
        changes=_changes(body, thinking.changes(plain)),
        logprobs=(body.top_logprobs or 0) if logprobs else None,
        stream=bool(body.stream),
    )
    style = ResponseStyle(
        {name: plain.get(name) for name in ECHOED},
        shows_thought=field_of(plain, server.settings.reasoning_field) != "none",
    )

    def wire(origin: Origin) -> Wire:
        return ResponseWire(origin, style)

    return Answer(request, call, wire, error_shape, prefix="resp_")


def _refuse_state(body: ResponseBody) -> None:
    """Raise ApiError where a body relies on what an earlier request left."""
    for name, advice in STATEFUL.items():
        if getattr(body, name):
            problem = f"{name}: this server keeps nothing between requests; {advice}."
            raise ApiError(400, problem, "unsupported_parameter", name)


def _changes(body: ResponseBody, thinking_changes: Changes) -> Changes:
    asked = body.text.format if body.text else None
    held = form(asked, "text.format") if asked else Changes()
    return sampling(body) | thinking_changes | longest(body.max_output_tokens) | held


def conversation(body: ResponseBody, settings: ServerSettings) -> list[Message]:
    """Instructions and input as messages; raises ApiError. Thoughts among the items are ignored."""
    kept = [Message(role="system", content=body.instructions)] if body.instructions else []
    if isinstance(body.input, str):
        return [*kept, Message(role="user", content=body.input)]
    for number, item in enumerate(body.input):
        place = f"input[{number}]"
        kind = item.type or "message"
        if kind.endswith(TOOL_ITEMS):
            refuse_tools(settings, "what a tool was asked or answered", place)
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


def routes() -> list[Route]:
    """The route of responses."""
    return [Route(PATH, responses, methods=["POST"])]


def operations() -> list[Operation]:
    """What the OpenAPI document says of it."""
    return [
        Operation(
            PATH,
            "post",
            "Response",
            openai_schemas.RESPONSE,
            openai_schemas.ERROR,
            body=ResponseBody,
            streams="text/event-stream",
        )
    ]
