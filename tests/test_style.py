"""A rule of STYLE.md that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.rooms import ROOT

FOLDERS = ("minireason", "tests", "bench", "examples")
FILES = [path for folder in FOLDERS for path in sorted((ROOT.parent / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_conditional_expression_is_inside_another(path: Path) -> None:
    outer = [
        node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.IfExp)
    ]
    nested = [
        inner.lineno
        for node in outer
        for inner in ast.walk(node)
        if isinstance(inner, ast.IfExp) and inner is not node
    ]
    assert not nested
