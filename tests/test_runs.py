"""Runs that can go on: whose a file is, and one process at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason import Settings, UsageError
from minireason.runs import Run, alone, begun, resumed, settings_of

RUN = Run("tiny", "ab" * 32, 7, None, settings_of({"temperature": 0.5}, Settings()))
FILE = Path("out.jsonl")


def test_settings_are_all_that_decides_what_a_chain_says() -> None:
    settings = settings_of({"seed": 5, "temperature": 1.0, "choices": ["a", "b"]}, Settings())
    assert "seed" not in settings
    assert (settings["temperature"], settings["top_p"], settings["choices"]) == (
        1.0,
        0.95,
        ["a", "b"],
    )
    models_own = settings_of({"top_p": 0.5}, Settings(temperature=1.0, top_p=0.9))
    assert (models_own["temperature"], models_own["top_p"]) == (1.0, 0.5)
    with pytest.raises(UsageError):
        settings_of({"temperature": -1}, Settings())


@given(left_out=st.sets(st.sampled_from(sorted(RUN.settings.keys() - {"temperature"}))))
def test_settings_that_an_older_version_had_not_are_as_usual(left_out: set[str]) -> None:
    settings = {name: value for name, value in RUN.settings.items() if name not in left_out}
    older = replace(RUN, settings=settings)
    assert resumed(FILE, older, RUN) == RUN
    for name in left_out:
        other = replace(RUN, settings=RUN.settings | {name: "other"})
        with pytest.raises(UsageError, match=f'its {name} is .*, this one\'s "other"'):
            resumed(FILE, older, other)


def test_a_setting_that_this_version_has_not_is_another_runs() -> None:
    newer = replace(RUN, settings=RUN.settings | {"magic": 3})
    with pytest.raises(UsageError, match=r"its magic is 3, this one's null.; name another file"):
        resumed(FILE, newer, RUN)
    forged = replace(RUN, model="other", settings=RUN.settings | {"model": "tiny"})
    with pytest.raises(UsageError, match=r'its model is "other", this one.s "tiny"'):
        resumed(FILE, forged, RUN)


@pytest.mark.parametrize("text", ["\x1b[31m", "\ud800", "9" * 5000])
def test_what_a_file_says_is_told_in_one_harmless_line(text: str) -> None:
    for forged in (replace(RUN, model=text), replace(RUN, settings={text: 3})):
        with pytest.raises(UsageError, match="another run") as error:
            resumed(FILE, forged, RUN)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 300


def test_a_seed_that_was_not_said_is_that_of_the_file_or_drawn() -> None:
    unsaid = replace(RUN, seed=None)
    assert resumed(FILE, RUN, unsaid) == RUN
    assert isinstance(begun(unsaid).seed, int)
    assert begun(RUN) == RUN


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    said = pytest.raises(UsageError, match="Another minireason batch is writing to")
    with alone(path, "eval"), said, alone(path, "batch"):
        pass
    with alone(path, "batch"):
        pass
