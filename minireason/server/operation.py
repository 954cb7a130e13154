"""What the OpenAPI document says of one route; every API module tells its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

Schema: TypeAlias = dict[str, Any]
"""A JSON schema."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One route.

    `reply` and `error` are the schemas of JSON bodies, `streams` is the media type in which the
    reply comes in pieces where a request asks for that. `statuses` are those of `error` that come
    of the request itself; the ones of every route (keys, hosts, sizes) are added. `parameters`
    are the names of those in the path.
    """

    path: str
    method: Literal["get", "post", "put", "delete"]
    summary: str
    reply: Schema
    error: Schema
    body: type[BaseModel] | None = None
    streams: str | None = None
    statuses: tuple[int, ...] = (400, 404, 500, 503)
    parameters: tuple[str, ...] = field(default=())
