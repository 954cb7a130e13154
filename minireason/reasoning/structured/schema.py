"""What a JSON schema lets a model write.

Whether a value that fits it can end, and its objects without properties of the model's own.

https://json-schema.org/draft/2020-12: the keywords that llguidance knows; those that it does not
know it refuses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("prefixItems", "anyOf", "oneOf")
_OPEN = ("additionalProperties", "patternProperties", "unevaluatedProperties", "minProperties")


def ends(schema: Schema) -> bool:
    """Whether any value fits that is finite; else each would have to hold another of its kind.

    As one looks for productive symbols of a grammar: references count as endless until a value
    without them is found.
    """
    ended: set[str] = set()
    references = {node["$ref"] for node in _objects(schema) if isinstance(node.get("$ref"), str)}
    while more := {
        reference for reference in references - ended if _ends(_target(schema, reference), ended)
    }:
        ended |= more
    return _ends(schema, ended)


def _ends(schema: object, ended: Collection[str]) -> bool:
    """Whether a value that fits can be finite if only those of the references in `ended` can."""
    if not isinstance(schema, Mapping):
        return True
    if "$ref" in schema and schema["$ref"] not in ended:
        return False
    if not all(_ends(part, ended) for part in schema.get("allOf", ())):
        return False
    for key in ("anyOf", "oneOf"):
        if (options := schema.get(key)) and not any(_ends(option, ended) for option in options):
            return False
    kinds = schema.get("type", "any")
    return any(
        all(_ends(part, ended) for part in _needed(schema, kind))
        for kind in ([kinds] if isinstance(kinds, str) else kinds)
    )


def _needed(schema: Schema, kind: str) -> list[object]:
    """The schemas of what an object or array cannot be without."""
    if kind == "object":
        properties = schema.get("properties", {})
        return [properties[name] for name in schema.get("required", ()) if name in properties]
    if kind == "array":
        first, least = list(schema.get("prefixItems", ())), schema.get("minItems", 0)
        return first[:least] + ([schema.get("items")] if least > len(first) else [])
    return []


def _target(root: Schema, reference: str) -> object:
    """What a reference within the schema points to, a JSON pointer (RFC 6901).

    None if there is no such thing.
    """
    target: Any = root
    for part in reference.lstrip("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        target = target.get(key) if isinstance(target, Mapping) else None
    return target


def closed(schema: Schema) -> Schema:
    """The schema with its objects closed: no properties but those that it names.

    Objects that say themselves what else they take stay as they are. Whatever fits fits the
    original.

    By default JSON schema lets anything be added, and a model would. Where schemas are combined
    into one object the properties of one are other ones to the next, so then nothing is changed.
    """
    return schema if any(_combines(node) for node in _objects(schema)) else _closed(schema)


def _combines(node: Schema) -> bool:
    return "allOf" in node or (
        "properties" in node and any(key in node for key in ("$ref", "anyOf", "oneOf"))
    )


def _closed(schema: Any) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    inner = {
        **{
            key: {name: _closed(part) for name, part in schema[key].items()}
            for key in _MAPS
            if key in schema
        },
        **{key: [_closed(part) for part in schema[key]] for key in _LISTS if key in schema},
        **{key: _closed(schema[key]) for key in ("items", "additionalProperties") if key in schema},
    }
    named = schema.get("properties", {})
    shut = (
        named
        and not any(key in schema for key in _OPEN)
        and all(name in named for name in schema.get("required", ()))
    )
    return {**schema, **inner, **({"additionalProperties": False} if shut else {})}


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    """Every JSON object within a value, itself included."""
    if isinstance(value, Mapping):
        yield value
    if isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _objects(part)
