"""All APIs: their routes, and what the OpenAPI document says of them."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from minireason.server import control, openapi
from minireason.server.anthropic import messages as anthropic_messages
from minireason.server.anthropic import wire as anthropic_wire
from minireason.server.ollama import models as ollama_models
from minireason.server.ollama import wire as ollama_wire
from minireason.server.openai import chat as openai_chat
from minireason.server.openai import completions as openai_completions
from minireason.server.openai import models as openai_models
from minireason.server.openai import responses as openai_responses
from minireason.server.operation import Operation
from minireason.wire.errors import ApiError
from minireason.wire.openai import shapes as openai_shapes

_APIS = (
    openai_chat,
    control,
    openai_completions,
    openai_responses,
    openai_models,
    anthropic_messages,
    ollama_models,
)


def routes() -> list[BaseRoute]:
    """The routes of all APIs, and of the document."""
    apis = [route for api in _APIS for route in api.routes()]
    return [*apis, openapi.route(operations())]


def operations() -> list[Operation]:
    """All that is documented."""
    return [operation for api in _APIS for operation in api.operations()]


def error_body(path: str, error: ApiError, request_id: str) -> dict[str, Any]:
    """An error in the shape of the API that was spoken to, which the path tells."""
    if path.startswith("/v1/messages"):
        return anthropic_wire.error_body(error, request_id)
    if path.startswith("/api/"):
        return ollama_wire.error_body(error, request_id)
    return openai_shapes.error_body(error, request_id)
