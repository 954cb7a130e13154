"""Rules of STYLE.md that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.rooms import ROOT

FOLDERS = ("minireason", "tests", "bench", "examples")

MOST_LINES_OF_A_MODULE, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS = 320, 42, 7
"""The first two with some tolerance: what is about 300 and 40 lines long is short enough."""


def nested(path: Path) -> list[str]:
    """Where a conditional expression of a file stands inside another."""
    tree = ast.parse(path.read_text("utf-8"))
    outer = [node for node in ast.walk(tree) if isinstance(node, ast.IfExp)]
    return [
        f"{path}, line {inner.lineno}"
        for node in outer
        for inner in ast.walk(node)
        if isinstance(inner, ast.IfExp) and inner is not node
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_conditional_expression_is_inside_another(folder: str) -> None:
    files = sorted((ROOT.parent / folder).rglob("*.py"))
    assert files
    assert not [place for path in files for place in nested(path)]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> list[Function]:
    """All functions of a file, at whatever depth."""
    tree = ast.parse(path.read_text("utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def parameters(function: Function) -> int:
    """How many there are beside `self` and `cls`."""
    takes = function.args
    names = [each.arg for each in (*takes.posonlyargs, *takes.args, *takes.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def lines(function: Function) -> int:
    """How many lines it takes, without its decorators."""
    return (function.end_lineno or 0) - function.lineno + 1


@pytest.mark.parametrize("folder", ["minireason", "bench", "examples"])
def test_modules_functions_and_lists_of_parameters_are_short(folder: str) -> None:
    for path in sorted((ROOT.parent / folder).rglob("*.py")):
        assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES_OF_A_MODULE, path
        for function in functions(path):
            place = f"{path}, line {function.lineno}: {function.name}"
            assert lines(function) <= MOST_LINES_OF_A_FUNCTION, place
            assert parameters(function) <= MOST_PARAMETERS, place
