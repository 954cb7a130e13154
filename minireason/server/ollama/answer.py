"""How a request of Ollama's API is answered, with what becomes of its model afterwards."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from minireason.errors import shown
from minireason.server.answering import Answer
from minireason.server.base import Models, Server
from minireason.server.ollama.options import ReplyBody, keep_s, model_name
from minireason.server.ollama.wire import error_body
from minireason.wire.call import Call, Origin, Wire
from minireason.wire.errors import ApiError


class LinesWire(Wire, Protocol):
    """A `Wire` of Ollama's."""

    def without_reply(self, reason: str) -> dict[str, Any]:
        """What a request that only loads or unloads a model is answered."""
        ...


WireClass = Callable[[Origin, str | None], LinesWire]


def answered(request: Request, body: ReplyBody, call: Call, wire: WireClass) -> Response:
    """The answer to a call; then the model is kept for as long as `keep_alive` says."""
    keep = keep_s(body.keep_alive)
    name = body.model or None
    answer = Answer(
        request, call, lambda origin: wire(origin, name), _error_shape, prefix="ollama-"
    )
    if keep is None:
        return answer
    return _ThenKeep(answer, request.app.state.server.models, call.model, keep)


async def without_prompt(request: Request, body: ReplyBody, wire: WireClass) -> Response:
    """Load the model of a request that asks nothing, or unload it."""
    server: Server = request.app.state.server
    name = model_name(server.models, body.model)
    keep = keep_s(body.keep_alive)
    unload = keep == 0
    if not unload:
        async with server.models.use(name) as reasoner:
            name = reasoner.name
    if keep is not None:
        await keep_model(server.models, name, keep)
    origin = Origin(
        id=f"ollama-{secrets.token_hex(12)}",
        request_id=request.state.request_id,
        created=int(time.time()),
        model=name or "",
        owner=request.state.owner,
    )
    told = wire(origin, body.model or None).without_reply("unload" if unload else "load")
    return JSONResponse(told)


async def keep_model(models: Models, name: str | None, seconds: float) -> None:
    """Keep a model for so long after its last request, or unload it for 0; None: the default one.

    Raises ApiError 404 where there is no such model.
    """
    for entry in models.entries():
        if name in (None, entry.name):
            if seconds == 0:
                await models.unload(entry.name)
            else:
                models.keep(entry.name, None if math.isinf(seconds) else seconds)
            return
    raise ApiError(404, f"There is no model {shown(name)} here; see /api/tags.", "model_not_found")


class _ThenKeep(Response):
    """An answer, after which its model is kept for some seconds or unloaded."""

    def __init__(self, answer: Answer, models: Models, name: str | None, seconds: float) -> None:
        self._answer, self._models = answer, models
        self._name, self._seconds = name, seconds
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then say for how long the model is wanted."""
        await self._answer(scope, receive, send)
        with suppress(ApiError):  # the answer has told of a model that is not there
            await keep_model(self._models, self._name, self._seconds)


def _error_shape(error: ApiError, origin: Origin) -> object:
    return error_body(error, origin.request_id)
