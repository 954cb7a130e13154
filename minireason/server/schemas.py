"""The parts that JSON schemas of replies are put together of, for the OpenAPI document."""

from __future__ import annotations

from minireason.server.operation import Schema


def record(**properties: Schema) -> Schema:
    """An object with these properties, all of them there, and perhaps others."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def optional(schema: Schema, **properties: Schema) -> Schema:
    """The schema of an object with more properties, which may be missing."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def list_of(items: Schema) -> Schema:
    """A list of such."""
    return {"type": "array", "items": items}


def one_of(*values: str | bool | None) -> Schema:
    """One of these values."""
    return {"enum": list(values)}


def maybe(schema: Schema) -> Schema:
    """Such, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANY_OBJECT: Schema = {"type": "object"}

OURS: Schema = optional(
    record(request_id=TEXT, thinking_end=maybe(TEXT), forced_tokens=COUNT, seed=COUNT),
    thinking_budget=COUNT,
)
"""What `ours.extra` tells."""
