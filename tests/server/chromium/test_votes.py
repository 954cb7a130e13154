"""A vote is seen as it happens."""

from __future__ import annotations

import threading

from tests.server.chromium.tools import (
    Page,
    Stage,
    ask,
    ends,
    expect,
    happens,
    last_reply,
    say,
)

CANDIDATES = [
    {"answer": "\\frac{1}{2}", "votes": 2, "share": 2 / 3, "chains": [0, 2]},
    {"answer": "3", "votes": 1, "share": 1 / 3, "chains": [1]},
]


def vote_of(page: Page, stage: Stage, gate: threading.Event) -> None:
    """Ask three chains; two have answered when the gate is reached."""
    page.get_by_role("combobox", name="Vote").select_option("3")
    stage.will(
        *(happens("chain_started", index=index, seed=index + 10) for index in range(3)),
        happens("chain_delta", index=0, kind="thinking", text="A half, ", tokens=3),
        happens("chain_delta", index=1, kind="thinking", text="Three?", tokens=2),
        happens("chain_delta", index=0, kind="answer", text="It is \\(0.5\\)", tokens=9),
        happens("chain_answered", index=0, answer="\\frac{1}{2}", text="", tokens=9),
        happens("chain_answered", index=1, answer="3", text="3", tokens=4),
        happens("vote", candidates=[{**CANDIDATES[0], "votes": 1}, CANDIDATES[1]], open=1),
        gate,
        happens("chain_answered", index=2, answer="0.5", text="0.5", tokens=8),
        happens("vote", candidates=CANDIDATES, open=0),
        happens("decided", because="all_done"),
        say("It is a half."),
        ends(20, 4, candidates=CANDIDATES, agreement=2 / 3, stopped_because="all_done"),
    )
    ask(page, "What is 1 - 1/2?")


def test_chains_stand_side_by_side_and_candidates_have_bars(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    vote_of(page, stage, gate)
    vote = page.get_by_role("region", name="Vote")
    expect(vote.get_by_role("heading")).to_have_text("Voting: 2 of 3 chains have answered")
    chains = vote.get_by_role("list", name="Chains").locator("> li")
    expect(chains).to_have_count(3)
    expect(chains.nth(0)).to_contain_text("9 tokens")
    expect(chains.nth(2)).to_contain_text("waits")
    boxes = [box for box in (chains.nth(index).bounding_box() for index in range(3)) if box]
    assert boxes[0]["y"] == boxes[1]["y"] == boxes[2]["y"]
    bars = vote.get_by_role("list", name="Candidates").get_by_role("listitem")
    expect(bars).to_have_count(2)
    expect(page.get_by_role("button", name="Answer now")).to_be_hidden()

    gate.set()
    expect(last_reply(page).locator(".answer")).to_have_text("It is a half.")
    expect(vote.get_by_role("heading")).to_have_text("2 of 3 votes agree")
    expect(vote).to_contain_text("The vote ended because all chains have ended.")
    expect(chains.nth(0)).to_be_hidden()
    expect(bars.first.locator(".katex")).to_have_count(1)
    expect(bars.first).to_contain_text("2 votes · 67%")
    widths = [bar.bounding_box() for bar in bars.locator(".bar > span").all()]
    assert widths[0]
    assert widths[1]
    assert round(widths[0]["width"] / widths[1]["width"]) == 2
    assert stage.asked[0]["samples"] == 3
    assert "stop_rule" not in stage.asked[0]


def test_a_chain_unfolds_to_all_that_it_wrote(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    vote_of(page, stage, gate)
    chain = page.get_by_role("list", name="Chains").locator("> li").first
    chain.locator("summary").click()
    everything = chain.get_by_role("region", name="All that chain 1 wrote")
    expect(everything).to_contain_text("A half,")
    expect(everything.locator(".katex")).to_have_count(1)


def test_a_vote_is_there_after_a_reload(stage: Stage, page: Page, gate: threading.Event) -> None:
    gate.set()
    vote_of(page, stage, gate)
    expect(last_reply(page).locator(".answer")).to_have_text("It is a half.")
    page.reload()
    vote = page.get_by_role("region", name="Vote")
    expect(vote.get_by_role("heading")).to_have_text("2 of 3 votes agree")
    vote.locator("summary").first.click()
    expect(vote.get_by_role("list", name="Chains").locator("> li")).to_have_count(3)


def test_the_rule_of_a_vote_and_its_width_are_sent(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    gate.set()
    page.get_by_role("button", name="More").click()
    page.get_by_label("Stop early").select_option("beta")
    page.get_by_label("Chains at a time").fill("2")
    page.get_by_role("button", name="Done").click()
    vote_of(page, stage, gate)
    expect(last_reply(page).locator(".answer")).to_have_text("It is a half.")
    assert stage.asked[0]["stop_rule"] == "beta"
    assert stage.asked[0]["parallel"] == 2
