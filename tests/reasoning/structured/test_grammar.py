from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from minireason import BadSetting, UsageError
from minireason.engine.logits import forbid
from minireason.reasoning.structured import grammar, values
from minireason.reasoning.structured.follower import Follower, Tokenizer
from minireason.reasoning.structured.grammar import Constraint, constraint
from minireason.settings import Settings


class WithoutNumber(BaseModel):
    """Its default is nothing that JSON has."""

    value: float = math.nan


LITERALS = ("</think>", "<|end|>")


class Characters:
    """A vocabulary of single bytes and two special tokens, the second of which ends a text.

    As in llama.cpp, literals of user-defined tokens become those tokens whatever one asks for.
    """

    n_vocab = 256 + len(LITERALS)
    special = {literal: 256 + index for index, literal in enumerate(LITERALS)}  # noqa: RUF012
    eog = frozenset({257})
    bos = None

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else LITERALS[token - 256].encode()

    def tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        assert not parse_special
        parts = re.split(f"({'|'.join(map(re.escape, LITERALS))})", text)
        return [
            token
            for part in parts
            for token in ([self.special[part]] if part in LITERALS else part.encode())
        ]


VOCABULARY = Characters()
TOKENIZER = Tokenizer(VOCABULARY)


def made(**settings: Any) -> Constraint:
    wanted = constraint(Settings(**settings))
    assert wanted
    return wanted


def accepts(wanted: Constraint, text: str) -> bool:
    """Whether a model could write this and stop there, every token allowed when it comes."""
    import numpy as np

    follower = Follower(wanted, TOKENIZER)
    for token in [*text.encode(), 257]:
        logits = np.zeros(VOCABULARY.n_vocab, np.float32)
        forbid(logits, follower.mask())
        assert logits[256] == -np.inf, "no tag can be part of an answer"
        if logits[token] < 0:
            return False
        if token != 257:
            follower.feed(token)
            if follower.over:
                return follower.text == text
    return True


@dataclass
class Point:
    x: int
    label: Literal["a", "b"]


class Person(BaseModel):
    name: str = Field(max_length=5)
    age: int = Field(ge=0, le=150)


def test_a_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 12}},
        "required": ["n"],
    }
    wanted = made(schema={**schema, "additionalProperties": False})
    assert accepts(wanted, '{"n": 12}')
    assert not accepts(wanted, '{"n": 13}'), "bounds of integers hold"
    assert not accepts(wanted, '{"n":12}')
    assert not accepts(wanted, '{"n": 3, "m": 1}')
    assert not accepts(wanted, "{}")
    assert wanted.parse('{"n": 3}') == {"n": 3}
    with pytest.raises(ValueError, match="13"):
        wanted.parse('{"n": 13}')


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Point, '{"x": -4, "label": "b"}', Point(-4, "b")),
        (Person, '{"name": "Ann", "age": 30}', Person(name="Ann", age=30)),
        (list[int], "[1, 2, 3]", [1, 2, 3]),
    ],
)
def test_a_class(kind: Any, text: str, value: object) -> None:
    wanted = made(schema=kind)
    assert accepts(wanted, text)
    assert wanted.parse(text) == value
    assert not accepts(wanted, text[:-1])


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.text())
def test_choices_are_exactly_these(choices: list[str], other: str) -> None:
    wanted = made(choices=choices)
    assert all(accepts(wanted, choice) for choice in choices)
    assert accepts(wanted, other) == (other in choices)


def test_choices_are_text_whatever_they_hold() -> None:
    choices = ["A", "AB", 'say "x"\n', "</think>", "<|end|>", "ü/🙂", "[a-z]+", "start: x"]
    wanted = made(choices=choices)
    assert all(accepts(wanted, choice) for choice in choices)
    assert not any(accepts(wanted, text) for text in ("B", "a", "x", "", "ABC"))
    assert wanted.parse("AB") == "AB"


def test_many_choices() -> None:
    wanted = made(choices=[f"number {index}" for index in range(10_000)])
    assert accepts(wanted, "number 9999")
    assert not accepts(wanted, "number 10000")


@pytest.mark.parametrize("text", ["</think>", "<|end|>", "a </think>", "<|end|><|end|>"])
def test_constants_cannot_forge_control_tokens(text: str) -> None:
    """Where nothing else can come, llguidance has the text tokenized.

    So it knows the one token that it lets through.
    """
    assert accepts(made(choices=[text]), text)
    assert accepts(made(regex=re.escape(text)), text)
    assert accepts(made(schema={"const": text}), json.dumps(text))
    assert accepts(
        made(schema={"type": "object", "properties": {text: {"type": "null"}}, "required": [text]}),
        json.dumps({text: None}),
    )


def test_a_regex() -> None:
    wanted = made(regex=r"\d{1,3}/\d")
    assert accepts(wanted, "12/3")
    assert not accepts(wanted, "1234/3")
    assert not accepts(wanted, "12/")


def test_recursion_that_ends_is_allowed() -> None:
    tree = {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["kids"],
    }
    wanted = made(schema={**tree, "additionalProperties": False})
    assert accepts(wanted, '{"kids": [{"kids": []}, {"kids": [{"kids": []}]}]}')


def test_numbers_of_numpy_in_a_schema() -> None:
    wanted = made(schema={"type": "integer", "minimum": np.int64(3), "maximum": np.float32(5)})
    assert [accepts(wanted, str(number)) for number in (2, 3, 5, 6)] == [False, True, True, False]


def test_endless_recursion_is_refused() -> None:
    with pytest.raises(BadSetting, match="no value fits"):
        made(schema={"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"schema": {"type": "integer", "minimum": 5, "maximum": 3}}, "greater than maximum"),
        ({"schema": {"type": "number of sorts"}}, "is not a JSON schema"),
        ({"schema": {"type": "array", "uniqueItems": True}}, "uniqueItems"),
        ({"schema": {"enum": []}}, "is not a JSON schema|Unsatisfiable"),
        ({"schema": {"$ref": "#/nowhere"}}, "cannot be used"),
        ({"schema": {"const": {1, 2}}}, "not JSON"),
        ({"schema": {"const": math.nan}}, "not JSON"),
        ({"schema": {"type": "number", "maximum": -math.inf}}, "not JSON"),
        ({"schema": {"type": "integer", "maximum": 10**400}}, "out of range"),
        ({"schema": WithoutNumber}, "cannot be used"),
        ({"schema": {"type": "string", "pattern": r"\p{L}"}}, "is not a 'regex'"),
        ({"schema": {"$ref": "https://example.com/schema.json"}}, "cannot be used"),
        ({"schema": type("Odd", (), {})}, "pydantic model or a dataclass"),
        ({"regex": "["}, "unclosed"),
        ({"regex": "(?=a)b"}, "look-around"),
        ({"regex": r"[^\s\S]"}, "nothing fits it"),
        ({"regex": r"a[^\s\S]"}, "nothing fits it"),
        ({"regex": r"(a{1,100}){90,100}"}, "too complex"),
        ({"regex": ""}, "empty text"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSetting, match=message) as caught:
        made(**settings)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"schema": "string"},
        {"schema": 3},
        {"choices": []},
        {"choices": "yes"},
        {"choices": ["a", ""]},
        {"regex": 3},
        {"regex": "a", "choices": ["a"]},
        {"choices": ["a"], "stop": ["b"]},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(BadSetting):
        Settings(**settings)


def test_objects_take_what_their_schema_names() -> None:
    wanted = made(schema={"type": "object", "properties": {"a": {"type": "null"}}})
    assert accepts(wanted, '{"a": null}')
    assert not accepts(wanted, '{"b": null}')
    assert accepts(made(schema={"type": "object"}), '{"b": null}')


def test_an_error_keeps_the_value_and_shows_its_beginning() -> None:
    schema = {"type": "integer", "minimum": 2, "maximum": 1, "description": "x" * 10_000}
    with pytest.raises(BadSetting) as caught:
        made(schema=schema)
    assert caught.value.value == schema
    for settings in (
        {"schema": schema},
        {"regex": "(" * 5000},
        {"choices": ["x" * 500, ""]},
        {"schema": {"type": ["x" * 1000]}},
    ):
        with pytest.raises(BadSetting) as caught:
            made(**settings)
        assert len(str(caught.value)) < 300


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize("depth", [150, 3_000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(BadSetting, match=r"nested too deeply|recursion limit"):
        made(schema=nested(depth))


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "number"}, "1e999"),
        ({"type": "integer"}, "9" * 5000),
        ({"type": "integer", "minimum": 3}, "2"),
    ],
)
def test_what_no_value_can_be_made_of(schema: dict[str, Any], text: str) -> None:
    parse = made(schema=schema).parse
    with pytest.raises(ValueError, match=r"beyond|digits|minimum"):
        parse(text)


def test_choices_out_of_an_iterator() -> None:
    assert Settings(choices=(text for text in "ab")).choices == ("a", "b")  # type: ignore[arg-type]


def test_a_constraint_that_grows_too_complex_on_the_way_is_not_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grammar, "TRIED_BYTES", 10)
    monkeypatch.setattr(grammar, "problem", grammar.problem.__wrapped__)
    follower = Follower(made(regex="(a{1,1000}){1,1000}"), TOKENIZER)
    while not follower.over:
        assert follower.feed(ord("a")) == "a" or follower.over
    assert 10 < len(follower.text) < 1000
    assert not follower.whole


def test_what_was_checked_once_is_not_checked_again_unless_it_changed() -> None:
    schema = {"enum": ["checked", "once"]}
    first = made(schema=schema)
    checked = grammar.problem.cache_info().misses, values.of_json.cache_info().misses
    followers = [Follower(wanted, TOKENIZER) for wanted in (first, made(schema=dict(schema)))]
    assert (grammar.problem.cache_info().misses, values.of_json.cache_info().misses) == checked
    for token in b'"once"':
        followers[0].feed(token)
    assert (followers[0].whole, followers[0].parsed(), followers[1].text) == (True, "once", "")
    assert not followers[1].whole
    schema["enum"].append("again")
    assert accepts(made(schema=schema), '"again"')
    assert not accepts(first, '"again"')


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grammar, "find_spec", lambda _name: None)
    assert constraint(Settings()) is None
    with pytest.raises(UsageError, match=r"pip install 'minireason\[schema\]'"):
        constraint(Settings(choices=["a"]))


def test_a_value_that_fails_the_class_itself_is_none() -> None:
    class Even(BaseModel):
        n: int = Field(multiple_of=2, ge=0, le=9)

        def model_post_init(self, _context: Any) -> None:
            if self.n == 4:
                raise ValueError("not four")

    follower = Follower(made(schema=Even), TOKENIZER)
    for token in b'{"n": 4':
        follower.feed(token)
    assert not follower.whole
    follower.feed(ord("}"))
    assert follower.whole
    assert follower.parsed() is None
    assert json.loads(follower.text) == {"n": 4}


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_number_that_cannot_be_checked_does_not_fit(kind: str) -> None:
    wanted = constraint(Settings(schema={"type": kind, "multipleOf": 0.5}))
    assert wanted
    with pytest.raises(ValueError, match="too large"):
        wanted.parse("1" + "0" * 400)


@pytest.mark.parametrize("key", ["minimum", "maximum", "multipleOf"])
def test_a_bound_beyond_every_number_is_refused(key: str) -> None:
    with pytest.raises(BadSetting, match="out of range"):
        constraint(Settings(schema={"type": "number", key: 10**309}))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e400}',
        '{"a": ' + "[" * values.MOST_DEPTH + "]" * values.MOST_DEPTH + "}",
        '{"a": ' * 100_000,
    ],
)
def test_what_no_file_of_replies_could_hold_is_no_value(text: str) -> None:
    """A server may answer so, whatever the schema says."""
    _, parse = values.of_dict({"type": "object"})
    with pytest.raises(ValueError, match=r"beyond|deeply"):
        parse(text)
    assert parse('{"a": [[1.5]]}') == {"a": [[1.5]]}
