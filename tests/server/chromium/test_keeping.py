"""Conversations are kept: over a reload, in the list, as files, in the server's sessions."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from tests.server.chromium.tools import (
    Page,
    Route,
    Stage,
    answered,
    ask,
    ends,
    expect,
    last_reply,
    say,
    think,
)


def test_a_reload_in_the_middle_keeps_what_came(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    stage.will(think("So far"), say("The first half"), gate, say("and the second"))
    ask(page, "Go")
    expect(page.get_by_text("The first half", exact=True)).to_be_visible()
    page.reload()
    expect(last_reply(page).locator(".answer")).to_have_text("The first half")
    expect(last_reply(page)).to_contain_text("The page was closed while this was written")
    assert stage.abandoned.wait(20)
    stage.will(say("Whole."), ends(0, 1))
    last_reply(page).get_by_role("button", name="Retry").click()
    expect(last_reply(page).locator(".answer")).to_have_text("Whole.")


def test_conversations_are_listed_renamed_and_deleted(stage: Stage, page: Page) -> None:
    answered(stage, page, "Of apples", "Red.")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    answered(stage, page, "Of pears", "Green.")
    listed = page.get_by_role("navigation").get_by_role("listitem")
    expect(listed).to_have_text(["Of pears", "Of apples"])

    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("Pears")
    page.keyboard.press("Enter")
    expect(listed).to_have_text(["Pears", "Of apples"])
    expect(page.get_by_role("heading", level=1)).to_have_text("Pears")

    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Delete").click()
    expect(listed).to_have_text(["Of apples"])
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Green.", exact=True)).to_be_visible()
    expect(listed).to_have_text(["Pears", "Of apples"])
    page.reload()
    expect(page.get_by_text("Green.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Of apples").click()
    expect(page.get_by_text("Red.", exact=True)).to_be_visible()


def test_a_reply_runs_on_while_another_conversation_is_read(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    stage.will(think("Slowly"), gate, say("There."), ends(1, 1))
    ask(page, "The slow one")
    expect(page.get_by_text("Slowly", exact=True)).to_be_visible()
    page.get_by_role("button", name="New conversation").click()
    answered(stage, page, "The quick one", "Here.")
    gate.set()
    page.get_by_role("button", name="The slow one").click()
    expect(last_reply(page).locator(".answer")).to_have_text("There.")
    assert [body["messages"][0]["content"] for body in stage.asked] == [
        "The slow one",
        "The quick one",
    ]


def test_a_conversation_that_is_deleted_while_it_runs_stays_deleted(
    stage: Stage, page: Page, gate: threading.Event
) -> None:
    stage.will(think("Slowly"), gate, say("There."), ends(1, 1))
    ask(page, "The slow one")
    expect(page.get_by_text("Slowly", exact=True)).to_be_visible()
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    assert stage.abandoned.wait(20)
    page.reload()
    expect(page.get_by_role("navigation").get_by_role("listitem")).to_have_count(0)


def test_a_full_storage_is_told_in_a_sentence(stage: Stage, page: Page) -> None:
    page.evaluate(
        """() => {
            const fill = (size) => {
                try {
                    localStorage.setItem(`full${size}`, "x".repeat(size));
                } catch {
                    return;
                }
            };
            for (let size = 8 * 1024 * 1024; size >= 1; size = Math.floor(size / 2)) fill(size);
        }"""
    )
    answered(stage, page, "Keep this", "Gladly.")
    expect(page.locator("#notice")).to_contain_text("storage is full")
    expect(page.get_by_text("Gladly.", exact=True)).to_be_visible()


def test_what_is_asked_before_it_is_known_where_it_is_kept(stage: Stage, page: Page) -> None:
    held: list[Route] = []
    page.route("**/sessions", lambda route: held.append(route))
    with page.expect_request("**/sessions"):
        page.reload()
    answered(stage, page, "So early?", "Yes.")
    listed = page.get_by_role("navigation").get_by_role("listitem")
    expect(listed).to_have_count(0)
    held[0].continue_()
    expect(listed).to_have_text("So early?")
    page.unroute_all()
    page.reload()
    expect(listed).to_have_text("So early?")


def test_something_strange_in_the_storage_is_left_out(stage: Stage, page: Page) -> None:
    page.evaluate(
        """() => {
            localStorage.setItem("minireason.conversation.a", "{");
            localStorage.setItem("minireason.conversation.b", '{"id": 1, "turns": 2}');
            localStorage.setItem("minireason.settings", "[1]");
        }"""
    )
    page.reload()
    answered(stage, page, "Still there?", "Yes.")
    expect(page.get_by_role("navigation").get_by_role("listitem")).to_have_text("Still there?")


def test_a_conversation_is_exported(stage: Stage, page: Page, tmp_path: Path) -> None:
    answered(stage, page, "What is 1/2 + 1/2?", "It is \\(1\\).", thought="Two halves.")
    page.get_by_role("button", name="This conversation").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Export as Markdown").click()
    assert started.value.suggested_filename == "what-is-1-2-1-2.md"
    started.value.save_as(tmp_path / "it.md")
    assert (tmp_path / "it.md").read_text("utf-8") == (
        "# What is 1/2 + 1/2?\n\n## Question\n\nWhat is 1/2 + 1/2?\n\n"
        "### Thinking\n\n> Two halves.\n\n### Answer\n\nIt is \\(1\\).\n"
    )
    page.get_by_role("button", name="This conversation").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Export as JSON").click()
    started.value.save_as(tmp_path / "it.json")
    exported = json.loads((tmp_path / "it.json").read_text("utf-8"))
    assert exported["turns"][0]["question"] == "What is 1/2 + 1/2?"
    assert exported["turns"][0]["replies"][0]["thinking"] == "Two halves."


def test_a_draft_is_there_after_a_reload(page: Page) -> None:
    page.get_by_label("Question", exact=True).fill("Not yet sent")
    page.reload()
    expect(page.get_by_label("Question", exact=True)).to_have_value("Not yet sent")


def test_session_files_of_the_server_are_used(stage: Stage, page: Page) -> None:
    stage.sessions = {
        "old": {
            "title": "An old one",
            "model": "tiny",
            "turns": [{"question": "Before?", "thinking": "Long ago.", "answer": "Yes."}],
        }
    }
    page.reload()
    page.get_by_role("button", name="An old one").click()
    expect(page.get_by_text("Yes.", exact=True)).to_be_visible()
    answered(stage, page, "And now?", "Too.", thought="Just now.")
    turns = stage.sessions["old"]["turns"]
    assert turns[1] == {"question": "And now?", "thinking": "Just now.", "answer": "Too."}
    assert not page.evaluate("Object.keys(localStorage).filter((key) => key.includes('conver'))")
    page.get_by_role("button", name="This conversation").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    assert stage.sessions == {}
