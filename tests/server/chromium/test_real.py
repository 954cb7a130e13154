"""The page on the real server, with the built-in model."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.chromium.tools import Page, ask, expect, last_reply
from tests.server.serving import Served

WORDS = 100_000
LONG = ScriptedReply(thinking=" word" * WORDS, answer="It is 2.")


@pytest.fixture
def base_url(tiny_url: str) -> str:
    """Where the page is: on the server that all tests share."""
    return tiny_url


def test_a_question_is_thought_about_and_answered(page: Page) -> None:
    page.get_by_role("button", name="More").click()
    page.get_by_label("Temperature").fill("0")
    page.get_by_role("button", name="Done").click()
    ask(page, "What is 347 + 586?")
    reply = last_reply(page)
    expect(reply.locator(".answer mn").last).to_have_text("933")
    expect(reply.locator("summary")).to_contain_text("Thought for")
    expect(reply.locator(".figures")).to_contain_text("tiny")
    reply.locator("summary").click()
    expect(reply.locator(".thought")).to_contain_text("ones 7+6=13")
    ask(page, "What is 12 + 30?")
    expect(last_reply(page).locator(".answer mn").last).to_have_text("42")


def test_chains_vote(page: Page) -> None:
    page.get_by_role("combobox", name="Vote").select_option("5")
    ask(page, "What is 1234 * 7?")
    vote = page.get_by_role("region", name="Vote")
    expect(vote.get_by_role("heading")).to_contain_text("agree")
    expect(vote).to_contain_text("The vote ended because")
    first = vote.get_by_role("list", name="Candidates").get_by_role("listitem").first
    expect(first).to_contain_text("8638")
    expect(last_reply(page).locator(".answer mn").last).to_have_text("8638")


def test_a_budget_is_kept_and_said(page: Page) -> None:
    page.get_by_role("combobox", name="Thinking").select_option("budget")
    page.get_by_role("spinbutton", name="Budget of thinking").fill("20")
    ask(page, "What is 347 + 586?")
    expect(last_reply(page).locator("summary")).to_contain_text("cut short at its budget")


def test_a_budget_that_does_not_fit_is_said(page: Page) -> None:
    page.get_by_role("combobox", name="Thinking").select_option("budget")
    page.get_by_role("spinbutton", name="Budget of thinking").fill("900000")
    ask(page, "What is 3 + 4?")
    expect(last_reply(page).locator(".note")).to_contain_text("The budget was more than fits")


def test_what_the_server_refuses_is_a_sentence(page: Page) -> None:
    ask(page, "word " * 5000)
    expect(last_reply(page).get_by_role("alert")).to_contain_text("context")


class TestSlowly:
    """Of a thought that goes on for long."""

    @pytest.fixture
    def base_url(self, served: Callable[..., Served]) -> str:
        """A server whose model thinks long."""
        return served(ScriptedBackend(LONG, n_ctx=2 * WORDS)).url.rstrip("/")

    def test_answer_now(self, page: Page) -> None:
        ask(page, "Go")
        page.get_by_role("button", name="Answer now").click()
        expect(last_reply(page).locator("summary")).to_contain_text("ended by you")
        expect(last_reply(page).locator(".answer")).to_contain_text("It is 2.")

    def test_stop(self, page: Page) -> None:
        ask(page, "Go")
        expect(page.get_by_role("button", name="Answer now")).to_be_visible()
        page.keyboard.press("Escape")
        expect(last_reply(page)).to_contain_text("You stopped this reply.")


class TestWithSessions:
    """Of a server that keeps conversations, and wants a key."""

    @pytest.fixture
    def base_url(self, served: Callable[..., Served]) -> str:
        """Such a server."""
        reply = ScriptedReply(thinking="One and one.", answer="It is 2.")
        return served(ScriptedBackend(reply), sessions=True, api_keys=["sesame"]).url.rstrip("/")

    def test_a_conversation_is_kept_by_the_server(self, page: Page) -> None:
        page.get_by_label("API key").fill("sesame")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_hidden()
        ask(page, "What is 1 + 1?")
        expect(last_reply(page).locator(".answer")).to_have_text("It is 2.")
        page.get_by_role("button", name="New conversation").click()
        page.reload()
        page.get_by_role("button", name="What is 1 + 1?").click()
        expect(last_reply(page).locator(".answer")).to_have_text("It is 2.")
        last_reply(page).locator("summary").click()
        expect(last_reply(page).locator(".thought")).to_have_text("One and one.")
        page.get_by_role("button", name="This conversation").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("navigation").get_by_role("listitem")).to_have_count(0)
