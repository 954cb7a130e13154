"""The page of HTTP fields names every field that a request may have."""

from __future__ import annotations

import re
from functools import cache

import pytest

pytest.importorskip("starlette", reason="starlette is not installed (extra `server`)")

from minireason.server import apis
from minireason.server.ollama.options import Options
from minireason.wire import thinking
from tests.docs.blocks import ROOT


@cache
def sections() -> dict[str, str]:
    """The text below each heading of the page."""
    text = (ROOT / "docs" / "reference" / "http.md").read_text("utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def section_of(path: str) -> str:
    """The section that tells of a path: the one that names it, or a path that it goes on from."""
    named = [
        text
        for heading, text in sections().items()
        if any(path.startswith(one) for one in re.findall(r"/\S+", heading))
    ]
    return "\n".join(named)


def fields() -> list[tuple[str, str]]:
    """The path and the name of each field of a body that makes a reply."""
    return [
        (operation.path, field.alias or name)
        for operation in apis.operations()
        if operation.body and re.match(r"/v1/|/api/(chat|generate)$", operation.path)
        for name, field in operation.body.model_fields.items()
    ]


@pytest.mark.parametrize(("path", "name"), fields())
def test_a_field_is_on_the_page(path: str, name: str) -> None:
    said = re.findall(r"`([\w.]+)`", section_of(path) + sections()["All APIs: thinking"])
    assert name in {word.partition(".")[0] for word in said}


@pytest.mark.parametrize("names", [thinking.BUDGETS, thinking.SWITCHES, thinking.EFFORTS])
def test_spellings_of_thinking_are_on_the_page_in_their_order(names: tuple[str, ...]) -> None:
    assert " ".join(f"`{name}`" for name in names) in sections()["All APIs: thinking"]


def test_options_of_ollama_are_on_the_page() -> None:
    told = " ".join(f"`{name}`" for name in Options.model_fields)
    assert told in section_of("/api/chat")
