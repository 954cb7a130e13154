"""Budgets, landings, loops and skipped thoughts, with the real library underneath."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

import minireason
from minireason import AnswerDelta, BadSetting, Done, Reasoner, Reply, ThinkingDelta
from minireason.reasoning.think import Tags
from minireason.settings import LANDING
from tests.local import local
from tests.scripted import Scripted

QUESTION = "What is 347 + 586?"


def assert_landed(reply: Reply) -> None:
    """What holds for every reply, however it was cut."""
    assert "think>" not in reply.thinking + reply.answer
    assert reply.answer or reply.finish_reason == "length"
    assert (reply.thinking_end == "natural") == (
        reply.usage.forced_tokens == 0
    ) or reply.thinking_end == "skipped"


def count_closing(reasoner: Reasoner, reply_ids: list[int]) -> int:
    close = local(reasoner).encoder.tags.close_id
    return reply_ids.count(close) if close is not None else 0


def ask(reasoner: Reasoner, question: str, **settings: object) -> Reply:
    """The reply, after a look at what the model saw.

    One closing tag, and exactly the text that was shown.
    """
    stream = reasoner.stream(question, **settings)  # type: ignore[arg-type]
    shown = [event.text for event in stream if isinstance(event, ThinkingDelta | AnswerDelta)]
    reply = stream.reply
    assert "".join(shown) == reply.thinking + reply.answer
    assert count_closing(reasoner, stream.token_ids) == 1
    return reply


@pytest.mark.parametrize(
    "question", ["What is 12 + 5?", pytest.param(QUESTION, marks=pytest.mark.slow)]
)
def test_a_cut_at_every_length_of_tiny(tiny: Reasoner, question: str) -> None:
    whole = tiny.ask(question, temperature=0)
    for budget in range(whole.usage.thinking_tokens + 2):
        reply = ask(tiny, question, temperature=0, thinking_budget=budget)
        assert_landed(reply)
        assert reply.finish_reason == "stop"
        assert reply.boxed, budget
        own = reply.thinking.removesuffix(LANDING).rstrip()
        assert whole.thinking.startswith(own), budget
        if budget:
            assert (
                budget <= reply.usage.thinking_tokens <= budget + budget // 4
                or reply.thinking_end == "natural"
            )
        cut = "budget" if budget else "skipped"
        assert reply.thinking_end == ("natural" if reply.thinking == whole.thinking else cut)


def test_a_cut_at_some_lengths_of_random_weights(anything: Reasoner) -> None:
    for budget in (0, 1, 2, 3, 17, 40):
        reply = ask(
            anything,
            QUESTION,
            temperature=1.0,
            seed=budget,
            thinking_budget=budget,
            max_tokens=budget + 80,
        )
        assert_landed(reply)
        assert reply.thinking_end == ("budget" if budget else "skipped")
        assert budget <= reply.usage.thinking_tokens <= budget + budget // 4
        assert reply.answer
        assert (reply.usage.answer_tokens >= 60) == (reply.finish_reason == "length"), (
            "the rest is the answer's"
        )


@pytest.mark.slow
def test_a_cut_at_every_length_of_random_weights(anything: Reasoner) -> None:
    """They have no natural length; 300 tokens stand for it.

    Text may end anywhere, in a character too.
    """
    ends = set()
    for budget in range(301):
        reply = ask(
            anything,
            QUESTION,
            temperature=1.0,
            seed=budget,
            thinking_budget=budget,
            max_tokens=budget + 80,
        )
        assert_landed(reply)
        assert not reply.thinking.endswith("\ufffd" * 2)
        ends.add(reply.thinking_end)
    assert ends <= {"budget", "skipped", "unclosed", "loop"}


@pytest.mark.parametrize("landing", ["", "Time is up: </think> <｜User｜>", "短く答えます。"])
def test_the_landing_message(tiny: Reasoner, landing: str) -> None:
    reply = ask(tiny, QUESTION, temperature=0, thinking_budget=30, landing=landing)
    assert reply.thinking.endswith(landing)
    assert reply.usage.forced_tokens >= len(landing.encode()) + 3
    assert reply.boxed


def test_effort(tiny: Reasoner) -> None:
    whole = tiny.ask(QUESTION, temperature=0)
    for effort in ("low", "medium", "high"):  # more than the context holds is clamped
        assert tiny.ask(QUESTION, temperature=0, effort=effort).thinking == whole.thinking
    none = tiny.ask(QUESTION, temperature=0, effort="none")
    assert (none.thinking, none.thinking_end, none.usage.thinking_tokens) == ("", "skipped", 0)
    assert none.boxed
    assert (
        tiny.ask(QUESTION, temperature=0, effort="high", thinking_budget=16).thinking_end
        == "budget"
    )


def test_a_budget_above_the_context_is_refused(tiny: Reasoner) -> None:
    with pytest.raises(
        BadSetting, match=r"thinking_budget=4000: .* leaves (\d+) for thinking"
    ) as caught:
        tiny.stream(QUESTION, thinking_budget=4000)
    most = int(str(caught.value).split(" leaves ")[1].split()[0])
    tiny.stream(QUESTION, thinking_budget=most).close()
    with pytest.raises(BadSetting, match="thinking_budget"):
        tiny.stream(QUESTION, thinking_budget=most + 1)


def test_seconds_end_the_thought(anything: Reasoner) -> None:
    reply = ask(anything, QUESTION, thinking_seconds=0.01, seed=3, max_tokens=600)
    assert_landed(reply)
    assert reply.thinking_end == "budget"


def test_without_a_budget_there_is_still_room_for_an_answer(anything: Reasoner) -> None:
    reply = ask(anything, QUESTION, seed=3, max_tokens=400, loop_check=False)
    assert (reply.thinking_end, bool(reply.answer)) == ("budget", True)
    assert reply.usage.answer_tokens >= 80


@pytest.mark.parametrize("streams", [1, 2])
def test_thoughts_land_in_the_memory_there_is(
    random_path: Path, monkeypatch: pytest.MonkeyPatch, streams: int
) -> None:
    """The cache begins with one slot of 1,024 tokens, and here there is no memory for more."""
    with minireason.load(random_path, n_threads=1) as reasoner:
        monkeypatch.setattr(local(reasoner).context, "resize", lambda *_shape: False)
        opened = [
            reasoner.stream(QUESTION, temperature=1.0, seed=seed, loop_check=False)
            for seed in range(streams)
        ]
        ended: list[Reply] = []
        while len(ended) < streams:
            ended += [
                event.reply
                for stream in opened
                for event in stream.poll()
                if isinstance(event, Done)
            ]
        assert reasoner.n_ctx == 1024
        for stream in opened:
            assert_landed(stream.reply)
            assert (stream.reply.thinking_end, bool(stream.reply.answer)) == ("budget", True)
            assert stream.reply.usage.thinking_tokens >= 500
            assert count_closing(reasoner, stream.token_ids) == 1
            assert len(stream.token_ids) <= 1024


def test_finish_thinking_from_another_thread(tiny: Reasoner) -> None:
    stream = tiny.stream(QUESTION, temperature=0)
    asked: list[bool] = []
    for number, _ in enumerate(stream):
        if number == 5:
            thread = threading.Thread(
                target=lambda: asked.extend(stream.finish_thinking() for _ in range(2))
            )
            thread.start()
            thread.join()
    assert asked == [True, False]
    reply = stream.reply
    assert_landed(reply)
    assert (reply.thinking_end, reply.finish_reason, bool(reply.boxed)) == ("user", "stop", True)
    assert reply.usage.thinking_tokens < 10
    assert not stream.finish_thinking()


def answered_now(reasoner: Reasoner, after: int, **settings: object) -> Reply:
    """The reply when it is asked for after some tokens of thinking, with the looks of `ask`."""
    stream = reasoner.stream("What is 12 + 5?", **settings)  # type: ignore[arg-type]
    ended = False
    while not ended:
        if stream.thinking_tokens >= after:
            stream.finish_thinking()
        ended = any(isinstance(event, Done) for event in stream.poll())
    assert_landed(stream.reply)
    assert count_closing(reasoner, stream.token_ids) == 1
    return stream.reply


def test_an_answer_now_at_every_token_of_tiny(tiny: Reasoner) -> None:
    whole = tiny.ask("What is 12 + 5?", temperature=0)
    for after in range(whole.usage.thinking_tokens - 1):  # the last one is the closing tag
        reply = answered_now(tiny, after, temperature=0)
        assert (reply.thinking_end, reply.finish_reason, bool(reply.answer)) == (
            "user",
            "stop",
            True,
        )
        assert whole.thinking.startswith(reply.thinking.removesuffix(LANDING).rstrip())
        assert reply.usage.thinking_tokens == after


@pytest.mark.parametrize(
    "afters", [(0, 1, 2, 33), pytest.param(range(0, 301, 5), marks=pytest.mark.slow)]
)
def test_an_answer_now_from_random_weights(anything: Reasoner, afters: Sequence[int]) -> None:
    for after in afters:
        room = (
            after + after // 2 + 200
        )  # so that the answer's reserve leaves the thought more than it is let have
        reply = answered_now(anything, after, temperature=1.0, seed=after, max_tokens=room)
        assert (reply.thinking_end, bool(reply.answer)) == ("user", True)


def test_finish_thinking_before_the_first_token(tiny: Reasoner) -> None:
    stream = tiny.stream(QUESTION, temperature=0)
    assert stream.finish_thinking()
    list(stream)
    assert (stream.reply.thinking, stream.reply.thinking_end) == (LANDING, "user")
    assert stream.reply.boxed


def test_a_loop_is_rewound_and_answered(tiny: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
    start, round_ = "347 + 586\n", "Wait, let me see.\n"
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


@pytest.mark.parametrize("text", ["347 + 586\n<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"])
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


@pytest.mark.parametrize("opening", ["<think>", "<think>\n", "<think>\n\n"])
@pytest.mark.parametrize("close", ["</think>", "</think>\n\n", " </think>"])
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
            QUESTION, seed=1, min_thinking=least, thinking_budget=16, max_tokens=60
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
        "<think>\nSo it is 933.</think>\n\nIt is 933.<|im_end|>", parse_special=True
    )
    for budget in range(1, 16):
        Scripted(text_tags, monkeypatch, script)
        reply = text_tags.ask(QUESTION, seed=1, thinking_budget=budget, landing="", max_tokens=100)
        assert reply.answer
        assert "So it is 933.".startswith(reply.thinking.rstrip())
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
    Scripted(tiny, monkeypatch, "347 + 586 = 933\n</think>\n\n<｜end▁of▁sentence｜>")
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
