"""POST /v1/chat/completions: OpenAI's, with what DeepSeek, vLLM and llama-server add to it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from minireason.server.answering import Answer
from minireason.server.base import Server
from minireason.server.body import read
from minireason.server.openai import schemas as openai_schemas
from minireason.server.operation import Operation
from minireason.wire.openai.chat_body import ChatBody, asked
from minireason.wire.openai.shapes import error_shape

PATH = "/v1/chat/completions"


async def chat_completions(request: Request) -> Response:
    """Answer a chat completion, or hold a vote where the body asks for one."""
    body, plain = await read(request, ChatBody)
    server: Server = request.app.state.server
    call, wire = asked(body, plain, server.settings)
    return Answer(request, call, wire, error_shape, prefix="chatcmpl-")


def routes() -> list[Route]:
    """The routes of chat completions."""
    return [Route(PATH, chat_completions, methods=["POST"])]


def operations() -> list[Operation]:
    """What the OpenAPI document says of them."""
    return [
        Operation(
            PATH,
            "post",
            "Chat completion, or a vote over many",
            body=ChatBody,
            reply=openai_schemas.CHAT_COMPLETION,
            streams="text/event-stream",
            error=openai_schemas.ERROR,
        )
    ]
