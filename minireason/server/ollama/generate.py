"""POST /api/generate: Ollama's replies to one prompt, in the model's template or raw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from minireason.messages import Message
from minireason.server.base import Server
from minireason.server.body import read
from minireason.server.ollama.answer import answered, without_prompt
from minireason.server.ollama.options import ReplyBody, changes, logprobs, model_name
from minireason.server.ollama.wire import GenerateWire
from minireason.settings import Changes
from minireason.wire.call import Call
from minireason.wire.errors import ApiError

THINKING = ("thinking", "effort", "thinking_budget")
"""Settings of the thought."""


class GenerateBody(ReplyBody):
    """The body of /api/generate."""

    prompt: str | None = None
    system: str | None = None
    raw: bool | None = None
    parse_special: bool | None = None
    suffix: str | None = None
    images: list[Any] | None = None


async def generate(request: Request) -> Response:
    """Answer a prompt; without one load or unload the model."""
    body, plain = await read(request, GenerateBody)
    server: Server = request.app.state.server
    for name, given in (("suffix", body.suffix), ("images", body.images)):
        if given:
            problem = f"{name} cannot be used; the models here read text and go on from its end."
            raise ApiError(400, problem, "unsupported", name)
    if not body.prompt:
        return await without_prompt(request, body, GenerateWire)
    call = Call(
        model=model_name(server.models, body.model),
        messages=() if body.raw else _messages(body.prompt, body.system),
        prompt=body.prompt if body.raw else None,
        parse_special=body.parse_special is not False,
        changes=_changes(body, plain),
        logprobs=logprobs(body),
        stream=body.stream is not False,
    )
    return answered(request, body, call, GenerateWire)


def _changes(body: GenerateBody, plain: Mapping[str, Any]) -> Changes:
    """The settings of a reply; a raw prompt is gone on with, and nothing of it is a thought."""
    asked = changes(body, plain)
    if not body.raw:
        return asked
    kept = {name: value for name, value in asked.items() if name not in THINKING}
    return cast("Changes", kept)


def _messages(prompt: str, system: str | None) -> Sequence[Message]:
    question = Message(role="user", content=prompt)
    return [Message(role="system", content=system), question] if system else [question]
