"""What the tests in a browser use: imported first, it skips them where something is missing."""

from __future__ import annotations

import pytest

pytest.importorskip("starlette", reason="starlette is not installed (extra `server`)")
pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra `server`)")
pytest.importorskip("playwright", reason="playwright is not installed (extra `test-server`)")

from playwright.sync_api import Locator, Page, Route, expect

from tests.server.chromium.stage import (
    CUT,
    UNTIL_ANSWER_NOW,
    Refusal,
    Stage,
    Step,
    ends,
    fails,
    happens,
    say,
    think,
)

__all__ = [
    "CUT",
    "UNTIL_ANSWER_NOW",
    "Locator",
    "Page",
    "Refusal",
    "Route",
    "Stage",
    "Step",
    "answered",
    "ask",
    "ends",
    "expect",
    "fails",
    "happens",
    "last_reply",
    "say",
    "think",
]


def ask(page: Page, question: str) -> None:
    """Write a question and send it."""
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")


def last_reply(page: Page) -> Locator:
    """The reply at the end of the conversation."""
    return page.get_by_role("article", name="Reply").last


def answered(stage: Stage, page: Page, question: str, answer: str, thought: str = "") -> Locator:
    """Ask, and wait for the whole answer; gives its reply."""
    steps = [think(thought)] if thought else []
    stage.will(*steps, say(answer), ends(thinking=len(steps), answer=1))
    turns = page.locator(".turn").count()
    ask(page, question)
    expect(page.locator(".turn")).to_have_count(turns + 1)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(last_reply(page).locator(".answer")).not_to_be_empty()
    return last_reply(page)
