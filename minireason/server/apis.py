"""All APIs: their routes, and what the OpenAPI document says of them."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from minireason.server import (
    anthropic_messages,
    anthropic_wire,
    control,
    ollama_models,
    ollama_wire,
    openai_chat,
    openai_completions,
    openai_models,
    openai_responses,
    openai_shapes,
    openapi,
)
from minireason.server.errors import ApiError
from minireason.server.operation import Operation

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
