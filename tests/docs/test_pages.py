"""The reference is whole, and the README stays a door."""

from __future__ import annotations

import html
import re
from collections import Counter
from pathlib import PurePath

import pytest

import minireason
import minireason.testing
from tests.conftest import bench
from tests.docs.blocks import ROOT


def test_exported_names_are_the_documented_ones() -> None:
    pages = (ROOT / "docs" / "reference").glob("*.md")
    text = "\n".join(page.read_text("utf-8") for page in pages)
    documented = Counter(re.findall(r"^::: minireason\.([\w.]+)$", text, re.MULTILINE))
    testing = [f"testing.{name}" for name in minireason.testing.__all__]
    protocols = [f"backends.base.{name}" for name in ("Backend", "ReplyStream", "StreamOptions")]
    protocols += [f"backends.capabilities.{name}" for name in ("CompletesText", "KnowsLogprobs")]
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


def test_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    package = {
        path.relative_to(ROOT / "minireason") for path in (ROOT / "minireason").rglob("*.py")
    }
    names = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", text))
    known = {*map(PurePath.as_posix, package), *(path.name for path in package)}
    missing = [name for name in names if name not in known and not (ROOT / name).is_file()]
    assert not missing


def test_every_script_of_bench_is_listed() -> None:
    listed = (ROOT / "bench" / "README.md").read_text("utf-8")
    scripts = [path.name for path in (ROOT / "bench").glob("*.py")]
    assert [name for name in scripts if f"`{name}`" not in listed] == []


def test_picture_of_imports_is_the_code() -> None:
    pytest.importorskip("grimp", reason="grimp comes with the extra dev")
    imports = bench("imports")
    rooms = imports.rooms()
    assert not [name for name in rooms if name in imports.below(rooms, name)], "a cycle"
    picture = (ROOT / "docs" / "images" / "imports.svg").read_text("utf-8")
    titles = re.findall(r"<title>(.+)</title>", html.unescape(picture))
    assert {tuple(title.split("->")) for title in titles if "->" in title} == imports.arrows(rooms)


def test_prose_has_100_columns() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    assert len(pages) > 30
    for page in pages:
        prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.M)
        long = [line for line in prose.splitlines() if len(line) > 100]
        assert not [line for line in long if not line.startswith(("|", "<!--", "#"))], page
