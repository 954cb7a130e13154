"""Values out of state files."""

from __future__ import annotations

from typing import Any

import pytest

from minireason.host import state
from minireason.host.state import Damaged, fits


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("a", str),
        (1, int),
        (-(2**63) + 1, int),
        (1, float),
        (1.5, float),
        (True, bool),
        ([], [str]),
        ([1, 2], [int]),
        ({"a": 1, "more": None}, {"a": int}),
        ({"a": [{"b": "c"}]}, {"a": [{"b": str}]}),
        ([], list),
    ],
)
def test_what_fits(value: object, form: Any) -> None:
    assert fits(value, form)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, str),
        (True, int),
        (1, bool),
        (1.0, int),
        (10**400, int),
        (10**400, float),
        (float("nan"), float),
        (float("inf"), float),
        (False, float),
        ("1", int),
        ([1, "2"], [int]),
        ({}, [int]),
        ({}, {"a": int}),
        ([("a", 1)], {"a": int}),
    ],
)
def test_what_does_not_fit(value: object, form: Any) -> None:
    assert not fits(value, form)


@pytest.mark.parametrize("depth", [state.MAX_DEPTH, 900, 100_000])
def test_depth_is_bounded(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    with pytest.raises(Damaged, match="too deeply"):
        state.parse_json(f"[{deep}]")
    with pytest.raises(Damaged):
        state.parse_toml(f"a = [{deep}]")
    shallow = state.MAX_DEPTH - 1
    assert state.parse_json("[" * shallow + "]" * shallow)


def test_what_is_no_json_or_toml() -> None:
    for text in ("", "{", "9" * 5000, '{"a": 1}}'):
        with pytest.raises(Damaged):
            state.parse_json(text)
    for text in ("a", "a = 1\na = 2", "a = " + "9" * 5000):
        with pytest.raises(Damaged):
            state.parse_toml(text)
