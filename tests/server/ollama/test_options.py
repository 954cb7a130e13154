from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.server.ollama.options import ReplyBody, changes, keep_s, logprobs
from minireason.wire.errors import ApiError


def asked(**plain: Any) -> dict[str, Any]:
    """The settings that a body comes to."""
    return dict(changes(ReplyBody.model_validate(plain), plain))


def test_options() -> None:
    options = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 42.0,
        "stop": ["END"],
        "num_predict": 100,
        "num_ctx": 4096,
        "repeat_penalty": 1.1,
    }
    assert asked(options=options) == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 42,
        "stop": ["END"],
        "max_tokens": 100,
    }


@given(st.sampled_from(["num_predict", "seed"]), st.integers(-9, -1))
def test_numbers_below_0_are_no_limit(name: str, number: int) -> None:
    assert asked(options={name: number}) == {}


def test_one_stop_text_is_a_list_of_it() -> None:
    assert asked(options={"stop": "END"}) == {"stop": ["END"]}


@pytest.mark.parametrize(
    ("think", "meant"),
    [
        (True, {}),
        (False, {"thinking": False}),
        (None, {}),
        ("low", {"effort": "low"}),
        ("high", {"effort": "high"}),
        ("max", {}),
    ],
)
def test_think(think: Any, meant: dict[str, Any]) -> None:
    assert asked(think=think) == meant


def test_format() -> None:
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}}
    assert asked(format=schema) == {"schema": schema}
    assert asked(format="json") == {"schema": {"type": "object", "additionalProperties": True}}
    assert asked(format="") == asked(format=None) == {}
    with pytest.raises(ApiError, match="JSON schema"):
        asked(format="yaml")


def test_texts_that_would_end_every_answer_are_left_out() -> None:
    assert asked(options={"stop": ["", "END"]}) == {"stop": ["END"]}
    assert asked(options={"stop": ""}) == {}


@pytest.mark.parametrize(
    ("keep_alive", "seconds"),
    [
        (None, None),
        (0, 0),
        (0.0, 0),
        ("0", 0),
        ("0s", 0),
        ("5m", 300),
        (" 90 ", 90),
        (-1, math.inf),
        ("-1m", math.inf),
    ],
)
def test_keep_alive(keep_alive: float | str | None, seconds: float | None) -> None:
    assert keep_s(keep_alive) == seconds


def test_a_keep_alive_that_is_none() -> None:
    with pytest.raises(ApiError, match="keep_alive has to be a duration"):
        keep_s("soon")


def test_logprobs() -> None:
    assert logprobs(ReplyBody(logprobs=True, top_logprobs=3)) == 3
    assert logprobs(ReplyBody(logprobs=True)) == 0
    assert logprobs(ReplyBody(top_logprobs=3)) is None
