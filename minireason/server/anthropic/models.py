"""The list of models in Anthropic's shape; its address is OpenAI's too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from minireason.server.base import ModelEntry
from minireason.server.times import rfc3339


def is_anthropic(request: Request) -> bool:
    """Whether a request comes from a client of Anthropic's API."""
    return "anthropic-version" in request.headers


def models_body(entries: Sequence[ModelEntry]) -> dict[str, Any]:
    """What GET /v1/models answers such a client: all models on one page."""
    return {
        "data": [model_body(entry) for entry in entries],
        "has_more": False,
        "first_id": entries[0].name if entries else None,
        "last_id": entries[-1].name if entries else None,
    }


def model_body(entry: ModelEntry) -> dict[str, Any]:
    """What GET /v1/models/NAME answers such a client."""
    return {
        "type": "model",
        "id": entry.name,
        "display_name": entry.name,
        "created_at": rfc3339(entry.created),
        "lifecycle": "active",
        "max_input_tokens": entry.n_ctx,
        "max_tokens": entry.n_ctx,
    }
