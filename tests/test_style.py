"""A rule of STYLE.md that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.rooms import ROOT

FOLDERS = ("minireason", "tests", "bench", "examples")


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
