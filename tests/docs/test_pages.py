"""The reference is whole, and the README stays a door."""

from __future__ import annotations

import re
from collections import Counter

import minireason
import minireason.testing
from tests.docs.blocks import ROOT


def test_exported_names_are_the_documented_ones() -> None:
    pages = (ROOT / "docs" / "reference").glob("*.md")
    text = "\n".join(page.read_text("utf-8") for page in pages)
    documented = Counter(re.findall(r"^::: minireason\.([\w.]+)$", text, re.MULTILINE))
    testing = [f"testing.{name}" for name in minireason.testing.__all__]
    protocols = [f"backends.base.{name}" for name in ("Backend", "ReplyStream", "StreamOptions")]
    assert documented == Counter([*minireason.__all__, *testing, *protocols])


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 1200


def test_readme_has_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    ours = (ROOT / ".ci" / "run").read_text("utf-8")
    asked = 'pip install . && minireason ask --model tiny "How many r\'s are in strawberry?"'
    tested = "pip install '.[test]' && pytest"
    assert {asked, tested} <= set(lines)
    assert asked.removeprefix("pip install") in ours
    assert tested.removeprefix("pip install") in ours
