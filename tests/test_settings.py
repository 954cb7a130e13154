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
