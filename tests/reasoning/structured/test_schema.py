"""Schemas: whether their values can end, beside building one.

And that closing their objects only takes values away.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from minireason.reasoning.structured.schema import closed, ends

NAMES = ("a", "b", "c")
REFERENCES = st.sampled_from([{"$ref": "#"}, *({"$ref": f"#/$defs/{name}"} for name in NAMES)])
LEAVES = st.sampled_from(
    [
        {"type": "integer"},
        {"type": "string", "maxLength": 2},
        {"enum": [1, "x", {"a": 1}]},
        True,
        {},
    ]
)


def objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    extra = st.fixed_dictionaries(
        {},
        optional={
            "additionalProperties": st.one_of(st.booleans(), parts),
            "minProperties": st.just(1),
        },
    )
    named = st.tuples(
        st.dictionaries(st.sampled_from(NAMES), parts),
        st.lists(st.sampled_from(NAMES), unique=True),
        extra,
    )
    return named.map(
        lambda made: {
            "type": "object",
            "properties": made[0],
            "required": [name for name in made[1] if name in made[0]],
            **made[2],
        }
    )


def composed(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(parts, min_size=1, max_size=3)
    return st.one_of(
        objects(parts),
        st.tuples(some, st.integers(0, 3)).map(
            lambda made: {"type": "array", "prefixItems": made[0], "minItems": made[1]}
        ),
        st.tuples(parts, st.integers(0, 2)).map(
            lambda made: {
                "type": ["array", "null"][: 1 + made[1] % 2],
                "items": made[0],
                "minItems": made[1],
            }
        ),
        some.map(lambda made: {"anyOf": made}),
    )


def schemas(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    one = st.recursive(leaves, composed, max_leaves=6)
    definitions = st.fixed_dictionaries(dict.fromkeys(NAMES, one))
    return st.tuples(one.filter(lambda made: isinstance(made, dict)), definitions).map(
        lambda made: {**made[0], "$defs": made[1]}
    )


class TooDeep(Exception):
    pass


def built(schema: Any, root: dict[str, Any], fuel: int) -> Any:
    """A value that fits, with at most this many references one inside the other; raises TooDeep."""
    if isinstance(schema, bool):
        return 0
    if "$ref" in schema:
        if not fuel:
            raise TooDeep
        name = schema["$ref"].rpartition("/")[2]
        return built(root if name == "#" else root["$defs"][name], root, fuel - 1)
    if "anyOf" in schema:
        for option in schema["anyOf"]:
            try:
                return built(option, root, fuel)
            except TooDeep:
                pass
        raise TooDeep
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type", "null")
    if "null" in kinds:
        return None
    if kinds == "object":
        return {name: built(schema["properties"][name], root, fuel) for name in schema["required"]}
    if "array" in kinds:
        parts = [*schema.get("prefixItems", []), *[schema.get("items", True)] * 3]
        return [built(part, root, fuel) for part in parts[: schema["minItems"]]]
    return 7 if kinds == "integer" else ""


@given(schemas(st.one_of(LEAVES, REFERENCES)))
def test_values_end_if_one_can_be_built(schema: dict[str, Any]) -> None:
    try:
        built(schema, schema, len(NAMES) + 1)
        possible = True
    except TooDeep:
        possible = False
    assert ends(schema) == possible


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"$ref": "#"}, False),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, True),
        ({"type": ["object"], "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, False),
        ({"type": ["object", "null"], "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, True),
        ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, False),
        ({"type": "array", "prefixItems": [{"type": "null"}, {"$ref": "#"}], "minItems": 2}, False),
        ({"type": "array", "prefixItems": [{"type": "null"}, {"$ref": "#"}], "minItems": 1}, True),
        (
            {
                "$ref": "#/$defs/a",
                "$defs": {
                    "a": {"anyOf": [{"$ref": "#/$defs/b"}]},
                    "b": {"allOf": [{"$ref": "#/$defs/a"}]},
                },
            },
            False,
        ),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"$ref": "#"}}}, False),
    ],
)
def test_endless_schemas(schema: dict[str, Any], expected: bool) -> None:
    assert ends(schema) is expected


def test_many_references_take_no_time() -> None:
    """Every definition needs every other one, the last one a number.

    Paths through them are too many to walk.
    """
    names = [str(number) for number in range(40)]
    needy = {
        "type": "object",
        "properties": {name: {"$ref": f"#/$defs/{name}"} for name in names},
        "required": names,
    }
    loose = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in reversed(names)]}
    definitions = {name: needy if number % 2 else loose for number, name in enumerate(names)}
    assert not ends({"$ref": "#/$defs/0", "$defs": definitions})
    assert ends({"$ref": "#/$defs/0", "$defs": {**definitions, "38": {"type": "integer"}}})


VALUES = st.recursive(
    st.sampled_from([None, 1, "x", "long"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
)


@given(schemas(LEAVES), st.lists(VALUES, min_size=1, max_size=5))
def test_closing_only_takes_values_away(schema: dict[str, Any], values: list[Any]) -> None:
    before = copy.deepcopy(schema)
    shut = closed(schema)
    assert schema == before
    assert closed(shut) == shut
    narrow, wide = Draft202012Validator(shut), Draft202012Validator(schema)
    for value in [*values, built(schema, schema, 0)]:
        assert not narrow.is_valid(value) or wide.is_valid(value)
    value = built(schema, schema, 0)
    assert narrow.is_valid(value) == wide.is_valid(value), (
        "what has only the properties that are named stays"
    )


def test_what_is_closed_and_what_is_not() -> None:
    a: dict[str, Any] = {"properties": {"a": {"type": "integer"}}}
    shut = {**a, "additionalProperties": False}
    assert closed(a) == shut
    assert closed({"items": a, "$defs": {"x": a}, "anyOf": [a, True]}) == {
        "items": shut,
        "$defs": {"x": shut},
        "anyOf": [shut, True],
    }
    for kept in (
        {**a, "additionalProperties": True},
        {**a, "patternProperties": {"^x": {}}},
        {**a, "required": ["b"]},
        {**a, "minProperties": 2},
        {"allOf": [a, {"properties": {"b": {}}}]},
        {**a, "$ref": "#/$defs/x", "$defs": {"x": {"properties": {"b": {}}}}},
        {"type": "object"},
        {"const": a},
        {"enum": [a]},
    ):
        assert closed(kept) == kept
    assert closed({"properties": {"properties": a}})["properties"]["properties"] == shut
