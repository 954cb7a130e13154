from __future__ import annotations

import ast
import inspect
import json
import math
import re
import sys
from collections import deque
from dataclasses import fields
from fractions import Fraction
from typing import Any, get_type_hints

import numpy as np
import pytest

from minireason import (
    BadSetting,
    ChainChanges,
    Changes,
    LoadChanges,
    LoadSettings,
    Settings,
    SolveChanges,
    VoteChanges,
    VoteSettings,
)
from minireason.settings import layered
from tests.docs.blocks import ROOT

KINDS: list[Any] = [Settings, VoteSettings, LoadSettings]
SETTINGS = [(kind, field.name) for kind in KINDS for field in fields(kind)]


def hints(kind: Any) -> dict[str, Any]:
    """The fields of a dataclass or a TypedDict, with their types."""
    return get_type_hints(kind)


def field_docs(kind: Any) -> dict[str, str]:
    """The text below each field of a dataclass, "" where there is none; on one line each."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for statement, after in zip(body.body, [*body.body[1:], ast.Pass()], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            said = text.value if isinstance(text, ast.Constant) else ""
            docs[statement.target.id] = " ".join(str(said).split())
    return docs


def table_row(kind: Any, name: str) -> str:
    """The row of a setting in docs/reference/settings.md."""
    doc = field_docs(kind)[name]
    means = re.sub(r" Defaults to \S+\.$", "", doc).replace("|", "\\|")
    default = {field.name: field.default for field in fields(kind)}[name]
    return (
        f"| `{name}` | `{json.dumps(default) if isinstance(default, str) else default}` | {means} |"
    )


@pytest.mark.parametrize(("kind", "name"), SETTINGS)
def test_the_reference_page_has_every_setting_as_plain_text(kind: Any, name: str) -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert table_row(kind, name) in page.splitlines()


@pytest.mark.parametrize(("kind", "name"), SETTINGS)
def test_every_setting_says_what_it_does_and_its_default(kind: Any, name: str) -> None:
    doc = field_docs(kind)[name]
    said = re.fullmatch(r"\w.*[.)] Defaults to (\S+)\.", doc)
    assert said, f"{kind.__name__}.{name} has to be explained, ending with its default: {doc!r}"
    default = eval(said[1], vars(sys.modules[kind.__module__]))
    real = {field.name: field.default for field in fields(kind)}[name]
    assert (default, type(default)) == (real, type(real))


@pytest.mark.parametrize(
    ("values", "keywords"),
    [(Settings, Changes), (LoadSettings, LoadChanges), (VoteSettings, VoteChanges)],
)
def test_keywords_are_the_fields(values: Any, keywords: Any) -> None:
    assert hints(values) == hints(keywords)


def test_keywords_of_a_vote_are_those_of_the_vote_and_of_a_chain() -> None:
    """A chain has no `stop` of its own: in `solve` that word is the vote's."""
    chain = {name: kind for name, kind in hints(Settings).items() if name != "stop"}
    assert hints(ChainChanges) == chain
    assert hints(SolveChanges) == chain | hints(VoteSettings)
    assert not hints(VoteSettings).keys() & chain.keys()


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
        ("stop", None),
        ("stop", b"END"),
        ("stop", {"END": 1}),
        ("stop", [None]),
        ("stop", ["\ud800"]),
        ("effort", []),
        ("effort", 3),
        ("temperature", 10**400),
        ("temperature", 10**5000),
        ("temperature", 1j),
        ("temperature", None),
        ("temperature", np.float32("nan")),
        ("temperature", np.array([0.5, 0.6])),
        ("temperature", np.True_),
        ("top_p", np.float64(0)),
        ("top_k", 2**31),
        ("seed", np.float64(1)),
        ("thinking", np.int64(1)),
        ("choices", np.array([1, 2])),
        ("regex", b"a"),
        ("schema", 5),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() else type(value).__name__,
)
def test_impossible_values(name: str, value: object) -> None:
    with pytest.raises(BadSetting) as caught:
        Settings().changed({name: value})  # type: ignore[misc]
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (VoteSettings, "samples", 0),
        (VoteSettings, "samples", "8"),
        (VoteSettings, "parallel", "many"),
        (VoteSettings, "parallel", []),
        (VoteSettings, "stop", []),
        (VoteSettings, "stop", np.array(["lead"])),
        (VoteSettings, "stop_threshold", 10**400),
        (VoteSettings, "budget_s", b"1"),
        (VoteSettings, "instruction", 5),
        (LoadSettings, "n_ctx", 10**400),
        (LoadSettings, "n_ctx", "4096"),
        (LoadSettings, "n_seq_max", None),
        (LoadSettings, "kv_type", []),
        (LoadSettings, "repack", 1),
    ],
)
def test_impossible_values_of_votes_and_of_loading(kind: Any, name: str, value: object) -> None:
    with pytest.raises(BadSetting) as caught:
        kind(**{name: value})
    assert caught.value.name == name


def test_numbers_of_numpy_are_numbers() -> None:
    settings = Settings(
        temperature=np.float32(0.5),
        top_p=np.float64(0.5),
        top_k=np.int64(40),
        seed=np.uint32(7),
        max_tokens=np.array(100),
        thinking=np.False_,
        thinking_seconds=Fraction(1, 2),
        stop=np.array(["END"]),
    )
    assert settings == Settings(
        temperature=0.5,
        top_p=0.5,
        top_k=40,
        seed=7,
        max_tokens=100,
        thinking=False,
        thinking_seconds=0.5,
        stop=("END",),
    )
    kinds = {type(getattr(settings, name)) for name in ("temperature", "top_p", "thinking_seconds")}
    assert kinds == {float}, "Python's own, which JSON and ctypes know"
    assert {type(settings.top_k), type(settings.seed), type(settings.max_tokens)} == {int}
    assert (type(settings.thinking), type(settings.stop[0])) == (bool, str)
    assert VoteSettings(samples=np.int64(4), parallel=np.int8(2)) == VoteSettings(
        samples=4, parallel=2
    )
    assert LoadSettings(n_ctx=np.int32(512)) == LoadSettings(n_ctx=512)


@pytest.mark.parametrize("kind", [list, tuple, deque, iter, np.array])
def test_stop_takes_any_sequence_of_strings(kind: Any) -> None:
    assert Settings(stop=kind(["END", "."])).stop == ("END", ".")


def test_what_is_said_last_of_one_question_counts() -> None:
    """An effort of now goes before a budget of before; of both together the budget does."""
    assert Settings(thinking_budget=7).changed({"effort": "low"}).thinking_tokens == 1024
    assert Settings(effort="high").changed({"thinking_budget": 7}).thinking_tokens == 7
    assert Settings(thinking=False).changed({"effort": "low"}).thinking_tokens == 1024
    assert Settings(effort="none").changed({"thinking": True}).thinking_tokens is None
    assert Settings(effort="high").changed({"effort": None, "top_k": 5}).thinking_tokens is None
    held = Settings(schema={"type": "integer"}).changed({"regex": "a"})
    assert (held.schema, held.regex) == (None, "a")
    assert Settings(regex="a").changed({"choices": None, "temperature": 1}).regex == "a"
    assert layered({"effort": "low", "seed": 1}, {"thinking_budget": 9}) == {
        "thinking_budget": 9,
        "seed": 1,
    }
    with pytest.raises(BadSetting, match="cannot be combined with schema"):
        Settings().changed({"regex": "a", "schema": {}})


@pytest.mark.parametrize("changes", [5, "temperature", [("temperature", 1)], Settings(), {5: 1}])
def test_changes_that_are_none(changes: Any) -> None:
    with pytest.raises(BadSetting):
        Settings().changed(changes)


def test_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(BadSetting, match=r"did you mean temperature\?$"):
        Settings().changed({"temprature": 1})  # type: ignore[typeddict-unknown-key]


def test_unknown_load_setting() -> None:
    with pytest.raises(BadSetting, match="did you mean n_ctx"):
        LoadSettings.of({"n_ctxt": 1})  # type: ignore[typeddict-unknown-key]


@pytest.mark.parametrize(
    ("name", "ours"),
    [("reasoning_effort", "effort"), ("num_predict", "max_tokens"), ("format", "schema")],
)
def test_a_name_that_others_use_is_told_as_ours(name: str, ours: str) -> None:
    with pytest.raises(BadSetting, match=f"did you mean {ours}"):
        Settings().changed({name: 1})  # type: ignore[misc]


def test_a_name_that_others_use_is_told_only_where_ours_exists() -> None:
    with pytest.raises(BadSetting, match="known are temperature"):
        Settings().changed({"num_ctx": 1})  # type: ignore[typeddict-unknown-key]


def test_unknown_setting_of_a_vote_names_its_own_first_and_in_order() -> None:
    with pytest.raises(BadSetting, match="known are samples, parallel, stop, min_votes"):
        VoteSettings.split({"zzz": 1})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(BadSetting, match="did you mean samples"):
        VoteSettings.split({"n": 4})  # type: ignore[typeddict-unknown-key]


def test_changes_leave_the_rest() -> None:
    said: Changes = {"temperature": 0, "stop": ["END"]}  # type: ignore[typeddict-item]
    changed = Settings().changed(said)
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
