"""What the bodies of /api/chat and /api/generate have in common -> settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

from minireason.server.base import Models
from minireason.server.times import duration_s
from minireason.settings import Changes
from minireason.wire import thinking
from minireason.wire.body import Body
from minireason.wire.errors import ApiError

LATEST = ":latest"

SMALLEST_TOP_P = 1e-6
"""What a `top_p` of 0 means: the likeliest token alone."""


class Options(BaseModel):
    """The options that mean something here; Ollama takes 42.0 for a whole number too."""

    model_config = ConfigDict(extra="ignore")

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] | str | None = None
    num_predict: int | None = None


class ReplyBody(Body):
    """The fields of every request for a reply."""

    model: str | None = None
    stream: bool | None = None
    format: str | dict[str, Any] | None = None
    options: Options | None = None
    keep_alive: Annotated[float, Field(allow_inf_nan=False)] | str | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


def changes(body: ReplyBody, plain: Mapping[str, Any]) -> Changes:
    """The settings that a body asks for; raises ApiError."""
    options = body.options or Options()
    stop = [options.stop] if isinstance(options.stop, str) else options.stop or []
    asked = {
        "temperature": options.temperature,
        "top_p": None if options.top_p is None else max(options.top_p, SMALLEST_TOP_P),
        "top_k": None if options.top_k is None else max(0, options.top_k),
        "seed": _at_least_0(options.seed),
        "max_tokens": _at_least_0(options.num_predict),
        "stop": [text for text in stop if text] or None,
        "schema": _schema(body.format),
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return cast("Changes", {**thinking.changes(plain), **given})


def logprobs(body: ReplyBody) -> int | None:
    """How many alternatives of each token are asked for; None: no logprobs."""
    return body.top_logprobs or 0 if body.logprobs else None


def model_name(models: Models, name: str | None) -> str | None:
    """The model that a request names: with or without ":latest" is the same; None: the default."""
    if not name:
        return None
    if name.endswith(LATEST) and all(entry.name != name for entry in models.entries()):
        return name.removesuffix(LATEST)
    return name


def keep_s(keep_alive: float | str | None) -> float | None:
    """For how many seconds a model is to be kept after the request; None: nothing is asked for.

    0 unloads it, and below 0 is for ever: infinite. Raises ApiError for no duration.
    """
    if keep_alive is None:
        return None
    try:
        given = duration_s(keep_alive.strip()) if isinstance(keep_alive, str) else keep_alive
        return math.inf if given < 0 else given
    except ValueError:
        problem = 'keep_alive has to be a duration such as "5m", or seconds.'
        raise ApiError(400, problem, "invalid_value", "keep_alive") from None


def _at_least_0(value: int | None) -> int | None:
    """A number of which those below 0 mean that nothing is asked for."""
    return None if value is None or value < 0 else value


def _schema(given: object) -> Mapping[str, Any] | None:
    """The JSON schema that a `format` means; raises ApiError."""
    if given is None or given == "":
        return None
    if given == "json":
        return {"type": "object", "additionalProperties": True}
    if isinstance(given, Mapping):
        return given
    raise ApiError(400, 'format has to be "json" or a JSON schema.', "invalid_value", "format")
