"""Thoughts that are ended by whoever reads them, with the real library underneath."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from minireason import Done, Reasoner, Reply
from minireason.engine.speculation_gain import MOST_DRAFTED
from minireason.settings import LANDING
from tests.integration.thinking import QUESTION, assert_landed, count_closing


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
    assert reply.usage.thinking_tokens < 20, "at most a draft more than were read"
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
        assert after <= reply.usage.thinking_tokens <= after + MOST_DRAFTED


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
