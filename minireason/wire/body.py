"""A body, checked: JSON -> a pydantic model, with one sentence for what is wrong."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from minireason.wire.errors import ApiError


class Body(BaseModel):
    """What every body is: unknown fields are kept in `model_extra` and harm nothing."""

    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


B = TypeVar("B", bound=Body)

MOST_VALUES = 50_000
"""So many values a body may hold in all: each may be wrong in several ways, and all are checked."""


def checked(plain: dict[str, Any], kind: type[B]) -> B:
    """A body as a model.

    Raises ApiError 400, and 413 for more values than are ever meant.
    """
    _check_values(plain)
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        raise invalid(error, plain) from None


def _check_values(plain: dict[str, Any]) -> None:
    """Raise ApiError for more values than are ever meant, and for what no reply could say again."""
    seen = 0
    left: list[dict[str, Any] | list[Any]] = [plain]
    while left:
        one = left.pop()
        seen += len(one)
        if seen > MOST_VALUES:
            problem = f"The body holds more than {MOST_VALUES:,} values; send less."
            raise ApiError(413, problem, "body_too_large")
        inner = list(one.values()) if isinstance(one, dict) else one
        if not all(math.isfinite(value) for value in inner if isinstance(value, float)):
            raise ApiError(400, "The body holds a number that is not finite.", "invalid_json")
        left.extend(value for value in inner if isinstance(value, dict | list))


def invalid(error: ValidationError, plain: dict[str, Any]) -> ApiError:
    """The first problem of a body, by the name of its field, such as "messages[0].content".

    Of the ways in which a field may be written, the one is told that the body comes closest to.
    """
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    places = [_place(problem["loc"], plain) for problem in problems]
    field = places[0].partition(".")[0]
    of_field = [number for number, place in enumerate(places) if place.startswith(field)]
    told = max(of_field, key=lambda number: len(places[number]))
    place, message = places[told], problems[told]["msg"].removeprefix("Value error, ")
    return ApiError(400, f"{place}: {message.rstrip('.')}.", "invalid_value", place)


def _place(location: tuple[int | str, ...], value: Any) -> str:
    """Where in a body a problem is; pydantic's names for the ways to write it are left out."""
    place = ""
    for number, part in enumerate(location, 1):
        missing = number == len(location) and isinstance(value, dict)
        if isinstance(part, int) and isinstance(value, list):
            place += f"[{part}]"
            value = value[part] if part < len(value) else None
        elif isinstance(part, str) and isinstance(value, dict) and (part in value or missing):
            place += f".{part}" if place else part
            value = value.get(part)
    return place
