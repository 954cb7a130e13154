"""Rows of a comparison: whose value counts, and whether the target is met."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from tests.conftest import bench


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    bench("tools")
    return bench("compare")


def side(*values: float) -> Any:
    """A run that gives one value after the other."""
    given = iter(values)
    return lambda _seed: {"rate": next(given)}


def only_line(compare: ModuleType, group: Any) -> Any:
    measured = compare.measure(group, 3)
    (line,) = compare.lines(group, measured)
    return line


def test_the_best_of_the_others_counts(compare: ModuleType) -> None:
    row = compare.Row("decode", "rate", target=0.98)
    peers = {"-fa 0": side(90, 90, 90), "-fa 1": side(100, 80, 100)}
    line = only_line(compare, compare.Group("decode", side(99, 88, 97), peers, (row,)))
    assert line.peer == "-fa 1"
    assert line.ratios == (0.99, 1.1, 0.97)  # of the rounds, in turn
    assert line.verdict == "met"
    assert line.cells() == (
        "decode",
        "97.0",
        "100",
        "-fa 1",
        "0.99",
        "0.97 to 1.10",
        ">= 0.98",
        "met",
    )


def test_lower_is_better(compare: ModuleType) -> None:
    row = compare.Row("first token", "rate", "lower", 0.5)
    peers = {"a": side(2, 2, 2), "b": side(4, 4, 4)}
    line = only_line(compare, compare.Group("chat", side(1.2, 1.2, 1.2), peers, (row,)))
    assert (line.peer, line.verdict) == ("a", "missed")


def test_a_row_without_a_target_has_no_verdict(compare: ModuleType) -> None:
    group = compare.Group("n", side(1, 1, 1), {"a": side(2, 2, 2)}, (compare.Row("r", "rate"),))
    assert only_line(compare, group).verdict == ""


def test_who_fails_is_left_out(compare: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_seed: int) -> dict[str, float]:
        raise compare.ToolFailed("it is not on the PATH")

    rows = (compare.Row("r", "rate"), compare.Row("s", "rate", peers=("a",)))
    group = compare.Group("n", side(1, 1, 1), {"a": fails, "b": side(2, 2, 2)}, rows)
    measured = compare.measure(group, 3)
    assert [line.peer for line in compare.lines(group, measured)] == ["b"]
    assert compare.as_json(group, measured)["failed"] == {"a": "it is not on the PATH"}
    assert capsys.readouterr().err.count("a is left out") == 1
