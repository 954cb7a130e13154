"""The body of a request: its bytes -> a pydantic model, with one sentence for what is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from starlette.requests import Request

from minireason.wire.body import Body, checked
from minireason.wire.errors import ApiError

B = TypeVar("B", bound=Body)


async def read(request: Request, kind: type[B]) -> tuple[B, dict[str, Any]]:
    """The body as a model, and as it came; raises ApiError 400 or 413."""
    raw = await request.body()
    try:
        import pydantic_core

        plain = pydantic_core.from_json(raw)
    except ValueError as error:
        problem = f"The body is not JSON: {error}."
        raise ApiError(400, problem, "invalid_json") from None
    if not isinstance(plain, dict):
        raise ApiError(400, "The body has to be a JSON object.", "invalid_json")
    return checked(plain, kind), plain
