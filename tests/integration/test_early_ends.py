"""Loops, refused tags and early ends, from a model that says what it is told."""

from __future__ import annotations

import pytest

from minireason import Reasoner
from minireason.reasoning.think import Tags
from minireason.settings import LANDING
from tests.integration.thinking import QUESTION, ask, count_closing
from tests.local import local
from tests.scripted import Scripted


def test_a_loop_is_rewound_and_answered(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    start, round_ = "12 + 5\n", "Wait, let me see.\n"
    Scripted(
        tiny, monkeypatch, (start + round_ * 100)[:160]
    )  # found at the next look, every 32 tokens
    stream = tiny.stream(QUESTION, temperature=0)
    list(stream)
    reply = stream.reply
    assert (reply.thinking_end, reply.finish_reason, bool(reply.boxed)) == ("loop", "stop", True)
    assert reply.thinking.startswith(start + round_ * 4), "what was shown stays"
    seen = b"".join(
        local(tiny).model.vocabulary.piece(token)
        for token in stream.token_ids[reply.usage.prompt_tokens :]
    ).decode()
    kept = seen.removesuffix(f"{LANDING}\n</think>\n\n{reply.answer}")
    assert kept in (start, start + round_), (
        "whole lines, and the round that was repeated at most once"
    )


def test_a_loop_may_be_allowed(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    Scripted(
        tiny,
        monkeypatch,
        ("Wait, let me see.\n" * 30)[:160] + "</think>\n\nDone.<｜end▁of▁sentence｜>",
    )
    assert tiny.ask(QUESTION, temperature=0, loop_check=False).thinking_end != "loop"


@pytest.mark.parametrize("text", ["12 + 5\n<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"])
def test_an_end_inside_the_thought_becomes_a_landing(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    Scripted(tiny, monkeypatch, text)
    reply = ask(tiny, QUESTION, temperature=0)
    assert (reply.thinking_end, reply.finish_reason, bool(reply.boxed)) == (
        "unclosed",
        "stop",
        True,
    )


def test_a_skipped_thought_is_refused_once(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny.ask(QUESTION, temperature=0)
    Scripted(tiny, monkeypatch, "</think>")
    reply = ask(tiny, QUESTION, temperature=0)
    assert (reply.thinking, reply.thinking_end, reply.answer) == (
        whole.thinking,
        "natural",
        whole.answer,
    )
    Scripted(tiny, monkeypatch, "</think>")
    assert ask(tiny, QUESTION, temperature=0, min_thinking=0).thinking_end == "skipped"
    Scripted(tiny, monkeypatch, "</think></think>")
    assert ask(tiny, QUESTION, temperature=0).thinking_end == "skipped"


@pytest.mark.parametrize(
    ("opening", "close"),
    [
        ("<think>", "</think>"),
        ("<think>\n", "</think>"),
        ("<think>\n\n", "</think>\n\n"),
        ("<think>\n", " </think>"),
    ],
)
def test_a_tag_of_several_tokens_is_refused_once(
    text_tags: Reasoner, monkeypatch: pytest.MonkeyPatch, opening: str, close: str
) -> None:
    """Made to think: SmolLM2's vocabulary has neither tag, so both are text."""
    model, encoder = local(text_tags).model, local(text_tags).encoder
    monkeypatch.setattr(encoder, "tags", Tags())
    monkeypatch.setattr(encoder, "thinks", True)
    opened, tag = (
        model.vocabulary.tokenize(text, parse_special=False) for text in (opening, close)
    )
    assert len(tag) > 1
    words = model.vocabulary.tokenize("Let me see. " * 8, parse_special=False)
    ends = []
    for script, least in ((tag, 4), (tag + tag, 4), (tag, 0)):
        Scripted(text_tags, monkeypatch, opened + script + words)
        stream = text_tags.stream(
            QUESTION, seed=1, min_thinking=least, thinking_budget=16, max_tokens=40
        )
        list(stream)
        assert stream.reply.answer
        assert "think>" not in stream.reply.thinking
        written = stream.token_ids[stream.reply.usage.prompt_tokens :]
        before = b"".join(map(model.vocabulary.piece, written)).partition(b"</think>")[0].decode()
        assert before.strip().removeprefix("<think>").strip() == stream.reply.thinking, (
            "the refused tag is gone"
        )
        ends.append((stream.reply.thinking_end, bool(stream.reply.thinking)))
    assert ends == [("budget", True), ("skipped", False), ("skipped", False)]


def test_a_cut_leaves_no_half_of_a_tag_behind(
    text_tags: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, encoder = local(text_tags).model, local(text_tags).encoder
    monkeypatch.setattr(encoder, "tags", Tags())
    monkeypatch.setattr(encoder, "thinks", True)
    script = model.vocabulary.tokenize(
        "<think>\nSo it is 17.</think>\n\nIt is 17.<|im_end|>", parse_special=True
    )
    for budget in range(1, 16):
        Scripted(text_tags, monkeypatch, script)
        reply = text_tags.ask(QUESTION, seed=1, thinking_budget=budget, landing="", max_tokens=30)
        assert reply.answer
        assert "So it is 17.".startswith(reply.thinking.rstrip())
        most = budget + budget // 4 + (reply.thinking_end == "natural")
        assert reply.usage.thinking_tokens <= most


def test_a_refused_tag_is_not_drawn_again(tiny: Reasoner) -> None:
    """The mask on the logits, not only the counting.

    With min_thinking huge, the tag's place is taken by something else.
    """
    whole = tiny.ask(QUESTION, temperature=0)
    longer = ask(tiny, QUESTION, temperature=0, min_thinking=10_000)
    assert longer.thinking.startswith(whole.thinking)
    assert longer.usage.thinking_tokens > whole.usage.thinking_tokens


@pytest.mark.parametrize(
    ("question", "opened"),
    [(QUESTION, "**Final Answer**"), (f"{QUESTION} Put it into \\boxed{{}}.", "\\boxed{")],
)
def test_an_empty_answer_is_opened_once(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch, question: str, opened: str
) -> None:
    Scripted(tiny, monkeypatch, "12 + 5 = 17\n</think>\n\n<｜end▁of▁sentence｜>")
    reply = ask(tiny, question, temperature=0, max_tokens=200)
    assert reply.answer.startswith("**Final Answer**")
    assert opened in reply.answer
    assert reply.usage.forced_tokens > 10
    Scripted(tiny, monkeypatch, "347\n</think>\n\n<｜end▁of▁sentence｜><｜end▁of▁sentence｜>")
    assert ask(tiny, question, temperature=0).finish_reason == "stop"


def test_a_landed_answer_without_the_box_asked_for_gets_one(
    tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = f"{QUESTION} Put it into \\boxed{{}}."
    sample, script = (
        local(tiny).context.sample,
        local(tiny).model.vocabulary.tokenize(
            "I am not sure.<｜end▁of▁sentence｜>", parse_special=True
        ),
    )
    stream = tiny.stream(question, temperature=0, thinking_budget=8)

    def unsure(*draw: object) -> int:
        landed = count_closing(tiny, stream.token_ids) == 1
        return script.pop(0) if script and landed else sample(*draw)

    monkeypatch.setattr(local(tiny).context, "sample", unsure)
    list(stream)
    assert stream.reply.answer.startswith("I am not sure.\n\n**Final Answer**\n\\boxed{")
