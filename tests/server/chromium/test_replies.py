"""A question and its reply: sent, streamed, folded, counted, ended, asked again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.server.chromium.tools import (
    CUT,
    UNTIL_ANSWER_NOW,
    Page,
    Refusal,
    Stage,
    Step,
    answered,
    ask,
    ends,
    expect,
    fails,
    last_reply,
    say,
    think,
)


def test_a_reply_streams_and_its_thought_folds(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    stage.will(think("Six times "), think("seven."), gate, say("It is **42**."), ends(9, 5))
    ask(page, "What is 6 * 7?")
    reply = last_reply(page)
    expect(reply.get_by_text("Six times seven.")).to_be_visible()
    expect(reply.locator("summary")).to_contain_text("Thinking · ")
    expect(page.get_by_role("button", name="Send")).to_be_hidden()
    gate.set()
    expect(reply.locator("strong")).to_have_text("42")
    expect(reply.get_by_text("Six times seven.")).to_be_hidden()
    expect(reply.locator("summary")).to_contain_text("Thought for ")
    expect(reply.locator("summary")).to_contain_text("9 tokens")
    expect(reply.locator(".figures")).to_contain_text("tiny · 5 tokens · ")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("The answer: It is **42**.")
    assert stage.asked == [
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": "What is 6 * 7?"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


def test_the_next_turn_is_asked_without_the_thoughts_before(stage: Stage, page: Page) -> None:
    answered(stage, page, "One?", "First.", thought="Hm.")
    answered(stage, page, "Two?", "Second.")
    assert stage.asked[1]["messages"] == [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "First."},
        {"role": "user", "content": "Two?"},
    ]


def test_a_thought_stays_as_the_reader_left_it(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    stage.will(think("Deep."), gate, say("Done."), ends(1, 1))
    ask(page, "Think")
    thought = last_reply(page).locator("details.thinking")
    thought.locator("summary").click()
    expect(page.get_by_text("Deep.", exact=True)).to_be_hidden()
    gate.set()
    expect(page.get_by_text("Done.", exact=True)).to_be_visible()
    thought.locator("summary").click()
    expect(page.get_by_text("Deep.", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_text("Deep.", exact=True)).to_be_visible()
    # The thought that was watched was folded, so the next one begins folded.
    stage.will(think("Again."), UNTIL_ANSWER_NOW, say("Two."), ends(1, 1))
    ask(page, "Think more")
    expect(last_reply(page).locator("summary")).to_contain_text("Thinking")
    expect(page.get_by_text("Again.", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Answer now").click()
    expect(page.get_by_text("Two.", exact=True)).to_be_visible()


def test_answer_now_ends_the_thought(stage: Stage, page: Page) -> None:
    stage.will(think("On and on"), UNTIL_ANSWER_NOW, say("7"), ends(3, 1, thinking_end="user"))
    ask(page, "Go")
    page.get_by_role("button", name="Answer now").click()
    expect(last_reply(page).locator(".answer")).to_have_text("7")
    expect(last_reply(page).locator("summary")).to_contain_text("ended by you")
    expect(page.get_by_role("button", name="Answer now")).to_be_hidden()
    assert stage.ended_now == ["chatcmpl-1"]


@pytest.mark.parametrize("by", ["key", "button"])
def test_a_stopped_reply_is_kept_and_frees_the_server(
    stage: Stage, page: Page, gate: threading.Event, by: str
) -> None:
    stage.will(think("Much "), gate, say("never"))
    ask(page, "Go")
    expect(page.get_by_text("Much", exact=True)).to_be_visible()
    if by == "key":
        page.keyboard.press("Escape")
    else:
        page.get_by_role("button", name="Stop").click()
    expect(last_reply(page)).to_contain_text("You stopped this reply.")
    assert stage.abandoned.wait(20)
    expect(page.get_by_label("Question", exact=True)).to_be_focused()
    page.reload()
    expect(last_reply(page)).to_contain_text("You stopped this reply.")
    expect(last_reply(page).locator("summary")).to_contain_text("Thought for")


def test_effort_budget_and_the_rest_are_sent(stage: Stage, page: Page) -> None:
    page.get_by_role("combobox", name="Thinking").select_option("high")
    answered(stage, page, "One", "1")
    page.get_by_role("combobox", name="Thinking").select_option("budget")
    page.get_by_role("spinbutton", name="Budget of thinking").fill("300")
    page.get_by_role("button", name="More").click()
    page.get_by_label("Temperature").fill("0.5")
    page.get_by_label("Tokens at most").fill("900")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("button", name="Done").click()
    answered(stage, page, "Two", "2")
    sent = [
        {k: v for k, v in body.items() if k not in ("messages", "stream", "stream_options")}
        for body in stage.asked
    ]
    assert sent == [
        {"model": "tiny", "reasoning_effort": "high"},
        {
            "model": "tiny",
            "thinking_budget": 300,
            "temperature": 0.5,
            "max_tokens": 900,
            "seed": 7,
        },
    ]
    page.reload()
    expect(page.get_by_role("spinbutton", name="Budget of thinking")).to_have_value("300")


def test_a_model_that_does_not_think_offers_no_effort(stage: Stage, page: Page) -> None:
    page.get_by_role("combobox", name="Model").select_option("plain")
    expect(page.get_by_role("combobox", name="Thinking")).to_be_hidden()
    answered(stage, page, "Hi", "Hello.")
    assert stage.asked[0]["model"] == "plain"


def test_a_retry_stands_beside_the_first_reply(stage: Stage, page: Page) -> None:
    answered(stage, page, "Pick one", "Heads.")
    stage.will(say("Tails."), ends(0, 1))
    last_reply(page).get_by_role("button", name="Retry").click()
    expect(last_reply(page).locator(".answer")).to_have_text("Tails.")
    expect(last_reply(page)).to_contain_text("2 of 2")
    last_reply(page).get_by_role("button", name="The reply before").click()
    expect(last_reply(page).locator(".answer")).to_have_text("Heads.")
    answered(stage, page, "Sure?", "Yes.")
    assert stage.asked[2]["messages"][1] == {"role": "assistant", "content": "Heads."}


def test_the_last_question_is_edited_in_its_place(stage: Stage, page: Page) -> None:
    answered(stage, page, "What is 1 + 1?", "2")
    page.keyboard.press("ArrowUp")
    page.get_by_label("Edit the question").fill("What is 2 + 2?")
    stage.will(say("4"), ends(0, 1))
    page.keyboard.press("Enter")
    expect(last_reply(page).locator(".answer")).to_have_text("4")
    expect(page.locator(".turn")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_text("What is 2 + 2?")
    assert stage.asked[1]["messages"] == [{"role": "user", "content": "What is 2 + 2?"}]


def test_an_earlier_question_is_edited_in_a_copy(stage: Stage, page: Page) -> None:
    answered(stage, page, "First", "1")
    answered(stage, page, "Second", "2")
    page.locator(".turn").first.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit the question").fill("Another first")
    stage.will(say("3"), ends(0, 1))
    page.get_by_role("button", name="Send").first.click()
    expect(last_reply(page).locator(".answer")).to_have_text("3")
    conversations = page.get_by_role("navigation").get_by_role("listitem")
    expect(conversations).to_have_text(["First (edited)", "First"])
    conversations.last.get_by_role("button").click()
    expect(page.locator(".turn")).to_have_count(2)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([Refusal(400, "The prompt is too long.")], "The prompt is too long."),
        ([Refusal(500, "")], "The server refused with status 500."),
        ([say("Half"), fails("The engine stopped.")], "The engine stopped."),
        ([say("Half"), CUT], "The connection ended before the reply was complete."),
    ],
)
def test_an_error_is_a_sentence_with_a_retry(
    stage: Stage, page: Page, steps: list[Step | Refusal], sentence: str
) -> None:
    stage.will(*steps)
    ask(page, "Go")
    expect(last_reply(page).get_by_role("alert")).to_have_text(sentence)
    stage.will(say("Better."), ends(0, 1))
    last_reply(page).get_by_role("button", name="Retry").click()
    expect(last_reply(page).locator(".answer")).to_have_text("Better.")


def test_a_server_that_is_gone_is_a_sentence(page: Page) -> None:
    page.route("**/v1/chat/completions", lambda route: route.abort("connectionrefused"))
    ask(page, "Anybody there?")
    expect(last_reply(page).get_by_role("alert")).to_contain_text("The server does not answer")


def test_an_answer_at_the_limit_of_tokens_says_so(stage: Stage, page: Page) -> None:
    stage.will(say("And then"), ends(0, 2, finish="length"))
    ask(page, "Tell a story")
    expect(last_reply(page)).to_contain_text("cut off by the limit of tokens")


def test_a_key_is_asked_for_once(stage: Stage, open_page: Callable[[], Page]) -> None:
    stage.key = "sesame"
    page = open_page()
    page.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_label("API key")).to_have_value("")
    page.get_by_label("API key").fill("sesame")
    page.keyboard.press("Enter")
    answered(stage, page, "Open?", "It is open.")
    page.reload()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("#model option").first).to_be_attached()
    assert "sesame" not in page.evaluate("JSON.stringify(localStorage)")


def test_what_is_copied_is_what_the_model_wrote(stage: Stage, page: Page) -> None:
    reply = answered(stage, page, "Code?", "So:\n\n```python\nprint(1 < 2)\n```\n\n\\(x^2\\)")
    reply.locator(".code-frame").get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == "print(1 < 2)\n"
    reply.locator(".actions").get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()").endswith("\\(x^2\\)")
    expect(reply.locator(".hljs-built_in")).to_have_text("print")
