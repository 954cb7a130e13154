"""Anthropic's API: POST /v1/messages and /v1/messages/count_tokens.

Without the field `thinking` a model thinks as it does by default, and the thought is not shown: a
client that did not ask for thinking finds text in the first block of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minireason.messages import Message
from minireason.server.answering import Answer
from minireason.server.anthropic import schemas as anthropic_schemas
from minireason.server.anthropic.content import conversation
from minireason.server.anthropic.wire import Display, MessageWire, error_body
from minireason.server.base import Server
from minireason.server.body import read
from minireason.server.operation import Operation
from minireason.server.settings import ServerSettings
from minireason.server.waiting import in_thread
from minireason.settings import Changes
from minireason.wire import thinking
from minireason.wire.body import Body
from minireason.wire.call import Call, Origin
from minireason.wire.errors import ApiError
from minireason.wire.tools import refuse_tools

SMALLEST_TOP_P = 1e-6
"""What a `top_p` of 0 means: the likeliest token alone."""


class Block(Body):
    """A content block."""

    type: str
    text: str | None = None


class Turn(Body):
    """One of the messages."""

    role: Literal["system", "user", "assistant"]
    content: str | list[Block]


class PromptBody(Body):
    """What a prompt is made of."""

    messages: Annotated[list[Turn], Field(min_length=1)]
    model: str | None = None
    system: str | list[Block] | None = None
    tools: list[Any] | None = None
    tool_choice: dict[str, Any] | None = None


class MessagesBody(PromptBody):
    """The body of /v1/messages."""

    max_tokens: Annotated[int, Field(ge=1)]
    stop_sequences: list[str] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    output_config: dict[str, Any] | None = None
    output_format: dict[str, Any] | None = None
    stream: bool | None = None


def routes() -> list[Route]:
    """What this API answers."""
    return [
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
    ]


def operations() -> list[Operation]:
    """What the OpenAPI document says of them."""
    return [
        Operation(
            "/v1/messages",
            "post",
            "Message, in Anthropic's API",
            body=MessagesBody,
            reply=anthropic_schemas.MESSAGE,
            streams=MessageWire.media_type,
            error=anthropic_schemas.ERROR,
        ),
        Operation(
            "/v1/messages/count_tokens",
            "post",
            "Tokens of a message's prompt, in Anthropic's API",
            body=PromptBody,
            reply=anthropic_schemas.TOKENS,
            error=anthropic_schemas.ERROR,
        ),
    ]


async def messages(request: Request) -> Response:
    """Answer a conversation."""
    body, plain = await read(request, MessagesBody)
    server: Server = request.app.state.server
    call = Call(
        model=body.model or None,
        messages=_conversation(body, plain, server.settings),
        changes=_changes(body, plain),
        stream=bool(body.stream),
    )
    shown = display(plain)
    return Answer(
        request, call, lambda origin: MessageWire(origin, shown), _error_shape, prefix="msg_"
    )


async def count_tokens(request: Request) -> Response:
    """Count the tokens of a prompt."""
    body, plain = await read(request, PromptBody)
    server: Server = request.app.state.server
    given = _conversation(body, plain, server.settings)
    async with server.models.use(body.model or None) as reasoner:
        count, most = reasoner.backend.count_tokens, reasoner.n_ctx
        tokens = await in_thread(count, given, at_most=most)  # what fits nowhere is estimated
    return JSONResponse({"input_tokens": tokens})


def display(plain: Mapping[str, Any]) -> Display:
    """Whether the thought is shown: where `thinking` asks for it, and as its `display` says."""
    asked = plain.get("thinking")
    if isinstance(asked, Mapping):
        if asked.get("type") == "disabled":
            return "hidden"
        return "omitted" if asked.get("display") == "omitted" else "shown"
    return "shown" if asked else "hidden"


def _conversation(
    body: PromptBody, plain: Mapping[str, Any], settings: ServerSettings
) -> list[Message]:
    if body.tools and (body.tool_choice or {}).get("type") != "none":
        refuse_tools(settings, "tools", "tools")
    turns = [(turn["role"], turn["content"]) for turn in plain["messages"]]
    return conversation(plain.get("system"), turns, settings)


def _changes(body: MessagesBody, plain: Mapping[str, Any]) -> Changes:
    """The settings that a body asks for."""
    asked = {
        "max_tokens": body.max_tokens,
        "temperature": body.temperature,
        "top_p": None if body.top_p is None else max(body.top_p, SMALLEST_TOP_P),
        "top_k": body.top_k,
        "stop": [text for text in body.stop_sequences or () if text] or None,
        "schema": _schema(body),
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return cast("Changes", {**thinking.changes(plain), **given})


def _schema(body: MessagesBody) -> dict[str, Any] | None:
    """The JSON schema of the answer: of `output_config.format`, or of `output_format`."""
    given = (body.output_config or {}).get("format") or body.output_format
    if not given:
        return None
    schema = given.get("schema") if isinstance(given, Mapping) else None
    if not isinstance(schema, Mapping) or given.get("type") != "json_schema":
        problem = 'output_config.format has to be {"type": "json_schema", "schema": {...}}.'
        raise ApiError(400, problem, "invalid_value", "output_config.format")
    return dict(schema)


def _error_shape(error: ApiError, origin: Origin) -> object:
    return error_body(error, origin.request_id)
