"""POST /api/chat: Ollama's conversations."""

from __future__ import annotations

from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from minireason.messages import Message
from minireason.server.base import Server
from minireason.server.body import read
from minireason.server.ollama.answer import answered, without_prompt
from minireason.server.ollama.options import ReplyBody, changes, logprobs, model_name
from minireason.server.ollama.wire import ChatWire
from minireason.server.settings import ServerSettings
from minireason.wire.body import Body
from minireason.wire.call import Call
from minireason.wire.conversation import system_first
from minireason.wire.errors import ApiError
from minireason.wire.tools import refuse_tools


class Turn(Body):
    """One of the messages."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: list[Any] | None = None
    tool_calls: list[Any] | None = None


class ChatBody(ReplyBody):
    """The body of /api/chat."""

    messages: list[Turn] | None = None
    tools: list[Any] | None = None


async def chat(request: Request) -> Response:
    """Answer a conversation; without messages load or unload the model."""
    body, plain = await read(request, ChatBody)
    server: Server = request.app.state.server
    if not body.messages:
        return await without_prompt(request, body, ChatWire)
    if body.tools:
        refuse_tools(server.settings, "tools", "tools")
    call = Call(
        model=model_name(server.models, body.model),
        messages=_conversation(body.messages, server.settings),
        changes=changes(body, plain),
        logprobs=logprobs(body),
        stream=body.stream is not False,
    )
    return answered(request, body, call, ChatWire)


def _conversation(turns: list[Turn], settings: ServerSettings) -> list[Message]:
    """The messages of a request; those of tools are left out where tools are ignored."""
    messages = []
    for number, turn in enumerate(turns):
        place = f"messages[{number}]"
        if turn.images:
            problem = f"{place}.images: images cannot be read; send text."
            raise ApiError(400, problem, "unsupported", f"{place}.images")
        if turn.role == "tool" or turn.tool_calls:
            refuse_tools(settings, "what a tool was asked or answered", place)
        if turn.role != "tool":
            messages.append(Message(role=turn.role, content=turn.content or ""))
    if turns[-1].role == "tool":
        problem = "The last message is a tool's, which is left out; it has to ask something."
        raise ApiError(400, problem, "invalid_value", "messages")
    if turns[-1].role == "assistant" and not turns[-1].content and turns[-1].thinking:
        messages[-1]["thinking"] = turns[-1].thinking
    return system_first(messages)
