"""The typed value of a structured answer: a schema, and what makes a value of JSON that fits it."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from minireason.checks import plain
from minireason.errors import BadSetting, shortened
from minireason.host import state

Parse: TypeAlias = Callable[[str], Any]
"""Makes the value of a text; raises ValueError if the text does not fit."""

MOST_REASON = 160
"""So many characters of somebody else's error message go into one of ours."""

MOST_DEPTH = state.MAX_DEPTH - 16
"""So deep a value may nest: a file of replies, which has it within others, can be read again."""

KEPT = 64
"""So many schemas and grammars are kept once they were checked."""


def of(schema: Mapping[str, Any] | type[Any]) -> tuple[dict[str, Any], Parse]:
    """A JSON schema, of itself or of a type, and what makes a value of JSON; raises BadSetting."""
    return of_dict(schema) if isinstance(schema, Mapping) else of_type(schema)


def of_dict(schema: Mapping[str, Any]) -> tuple[dict[str, Any], Parse]:
    """A JSON schema and its validator; raises BadSetting."""
    try:
        text = json.dumps(schema, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise BadSetting("schema", schema, f"is not JSON ({error})") from None
    return of_json(text)


def _plain(value: object) -> object:
    """A number of numpy's as JSON has it; raises TypeError."""
    number = plain(value)
    if number is value:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return number


@functools.lru_cache(maxsize=KEPT)
def of_json(text: str) -> tuple[dict[str, Any], Parse]:
    """A JSON schema by its text, since the dict of a caller may change; raises BadSetting."""
    from jsonschema import SchemaError, ValidationError
    from jsonschema.validators import Draft202012Validator, validator_for

    schema = json.loads(text)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        problem = shortened(f"{f'{where}: ' if where else ''}{error.message}", MOST_REASON)
        raise BadSetting("schema", schema, f"is not a JSON schema ({problem})") from None
    validator = kind(schema)

    def parse(text: str) -> Any:
        try:
            value = json.loads(text, parse_float=_finite, parse_constant=_finite)
        except RecursionError:
            raise ValueError("it nests too deeply") from None
        state.shallow(value, MOST_DEPTH)
        try:
            validator.validate(value)
        except ValidationError as error:
            raise ValueError(error.message) from None
        except ArithmeticError as error:  # multipleOf of a number beyond a float
            raise ValueError(str(error)) from None
        return value

    return schema, parse


def _finite(digits: str) -> float:
    """A number that JSON can hold again; raises ValueError, as for NaN, which Python reads."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is beyond what a float holds")
    return number


def of_type(kind: type[Any]) -> tuple[dict[str, Any], Parse]:
    """The schema of a type that pydantic knows, and what makes an instance of JSON.

    A pydantic model, a dataclass or any other such type; raises BadSetting.
    """
    from pydantic import PydanticUserError, TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        return adapter.json_schema(), adapter.validate_json
    except (PydanticUserError, PydanticUndefinedAnnotation):
        problem = (
            "has to be a JSON schema, a pydantic model or a dataclass, "
            "with fields that JSON can hold"
        )
        raise BadSetting("schema", kind, problem) from None
    except (ValueError, RecursionError):
        raise
    except Exception as error:  # the caller's own code may raise anything
        raise BadSetting("schema", kind, f"its own code failed ({summary(error)})") from error


def summary(error: Exception) -> str:
    """What went wrong in a caller's own code, in one short line."""
    return shortened(f"{type(error).__name__}: {error}".replace("\n", " "), MOST_REASON)
