"""The body of a request, checked: JSON -> a pydantic model, with one sentence for what is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

from minireason.server.errors import ApiError


class Body(BaseModel):
    """What every request body is: unknown fields are kept in `model_extra` and harm nothing."""

    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


B = TypeVar("B", bound=Body)


async def read(request: Request, kind: type[B]) -> tuple[B, dict[str, Any]]:
    """The body as a model, and as it came; raises ApiError 400."""
    raw = await request.body()
    try:
        import pydantic_core

        plain = pydantic_core.from_json(raw)
    except ValueError as error:
        problem = f"The body is not JSON: {error}."
        raise ApiError(400, problem, "invalid_json") from None
    if not isinstance(plain, dict):
        raise ApiError(400, "The body has to be a JSON object.", "invalid_json")
    try:
        return kind.model_validate(plain), plain
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> ApiError:
    """The first problem of a body, by the name of its field."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return ApiError(400, f"{place}: {first['msg']}.", "invalid_value", place)
