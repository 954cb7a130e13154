from __future__ import annotations

import math
from typing import Any, get_type_hints

import pytest

from minireason import BadSetting, LoadSettings, Settings
from minireason.settings import Changes, LoadChanges


@pytest.mark.parametrize(("values", "keywords"), [(Settings, Changes), (LoadSettings, LoadChanges)])
def test_keywords_are_the_fields(values: Any, keywords: Any) -> None:
    assert get_type_hints(values) == get_type_hints(keywords)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "hot"),
        ("temperature", True),
        ("top_p", 0),
        ("top_p", 1.5),
        ("top_k", -1),
        ("seed", -1),
        ("seed", 2**32 - 1),
        ("seed", 1.5),
        ("max_tokens", 0),
        ("thinking_budget", -1),
        ("thinking", "no"),
        ("effort", "huge"),
        ("thinking_seconds", -1),
        ("thinking_seconds", math.nan),
        ("min_thinking", -1),
        ("loop_check", 1),
        ("landing", None),
        ("landing", "\ud800"),
        ("stop", "END"),
        ("stop", ("",)),
    ],
)
def test_impossible_values(name: str, value: object) -> None:
    with pytest.raises(BadSetting) as caught:
        Settings().changed({name: value})  # type: ignore[misc]
    assert caught.value.name == name


def test_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(BadSetting, match="did you mean temperature"):
        Settings().changed({"temprature": 1})  # type: ignore[typeddict-unknown-key]


def test_unknown_load_setting() -> None:
    with pytest.raises(BadSetting, match="did you mean n_ctx"):
        LoadSettings.of({"n_ctxt": 1})  # type: ignore[typeddict-unknown-key]


def test_changes_leave_the_rest() -> None:
    changed = Settings().changed({"temperature": 0, "stop": ["END"]})  # type: ignore[typeddict-item]
    assert (changed.temperature, changed.stop, changed.top_p) == (0, ("END",), 0.95)


def test_effort_is_a_budget_by_name_and_a_number_goes_before_it() -> None:
    asked = [
        Settings(**changes).thinking_tokens
        for changes in ({}, {"effort": "none"}, {"effort": "low"}, {"effort": "high"})
    ]  # type: ignore[arg-type]
    assert asked == [None, 0, 1024, 12_288]
    assert Settings(effort="high", thinking_budget=7).thinking_tokens == 7
    assert Settings(effort="high", thinking=False).thinking_tokens == 0


def test_a_budget_that_leaves_no_answer() -> None:
    with pytest.raises(BadSetting, match="leaves no room for an answer in max_tokens=100"):
        Settings(thinking_budget=100, max_tokens=100)
