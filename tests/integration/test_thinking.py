"""Budgets and the landings that they bring, with the real library underneath."""

from __future__ import annotations

from pathlib import Path

import pytest

import minireason
from minireason import BadSetting, Done, Reasoner, Reply
from minireason.settings import LANDING
from tests.integration.thinking import QUESTION, ask, assert_landed, count_closing
from tests.local import local


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
