"""POST /v1/responses: OpenAI's other API; the server keeps nothing between its requests."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from minireason.server.answering import Answer
from minireason.server.base import Server
from minireason.server.body import read
from minireason.server.openai import schemas as openai_schemas
from minireason.server.operation import Operation
from minireason.wire.openai.responses_body import ResponseBody, asked
from minireason.wire.openai.shapes import error_shape

PATH = "/v1/responses"


async def responses(request: Request) -> Response:
    """Answer a response."""
    body, plain = await read(request, ResponseBody)
    server: Server = request.app.state.server
    call, wire = asked(body, plain, server.settings)
    return Answer(request, call, wire, error_shape, prefix="resp_")


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
