"""POST /v1/chat/completions/control: end the thought of a reply that runs, as in llama-server."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from minireason.errors import shown
from minireason.server.base import Server
from minireason.server.body import read
from minireason.server.openai import schemas as openai_schemas
from minireason.server.operation import Operation
from minireason.wire.body import Body

PATH = "/v1/chat/completions/control"


class ControlBody(Body):
    """What to do with the reply of this id, which its first chunk tells."""

    id: str
    action: Literal["reasoning_end"]


async def control(request: Request) -> Response:
    """End a thought; of replies that others asked for it knows nothing."""
    body, _ = await read(request, ControlBody)
    server: Server = request.app.state.server
    running = server.running.get((request.state.owner, body.id))
    if running is None:
        problem = f"No reply {shown(body.id)} is running."
        return JSONResponse({"success": False, "message": problem})
    if not running.finish_thinking():
        problem = "There is no thought to end."
        return JSONResponse({"success": False, "message": problem})
    return JSONResponse({"success": True})


def routes() -> list[Route]:
    """The route."""
    return [Route(PATH, control, methods=["POST"])]


def operations() -> list[Operation]:
    """What the OpenAPI document says of it."""
    return [
        Operation(
            PATH,
            "post",
            "End the thought of a running reply",
            openai_schemas.CONTROL,
            openai_schemas.ERROR,
            body=ControlBody,
            statuses=(400,),
        )
    ]
