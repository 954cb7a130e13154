"""The public API on the built-in model, with the real library underneath."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

import minireason
from minireason import (
    AnswerDelta,
    ContextFull,
    Done,
    Event,
    Message,
    Reasoner,
    Reply,
    ThinkingDelta,
    UsageError,
)
from tests.local import local

QUESTION = "What is 12 + 5?"


def parts(events: Iterable[Event]) -> tuple[str, str, Reply]:
    """Thinking, answer and reply; asserts their order."""
    thinking, answer, reply = "", "", None
    for event in events:
        match event:
            case ThinkingDelta(text=text):
                assert not answer
                thinking += text
            case AnswerDelta(text=text):
                answer += text
            case Done(reply=reply):
                pass
    assert reply is not None
    return thinking, answer, reply


def test_a_stream_adds_up_to_its_reply(tiny: Reasoner) -> None:
    stream = tiny.stream(QUESTION, temperature=0)
    thinking, answer, reply = parts(stream)
    assert (reply.thinking, reply.answer) == (thinking, answer)
    assert stream.reply is reply
    assert thinking.startswith("12 + 5")
    assert reply.boxed
    assert (reply.model, reply.finish_reason, reply.thinking_end) == ("tiny", "stop", "natural")
    assert reply.usage.thinking_tokens == len(thinking.encode()) + 2, (
        "one token a byte, a newline and the closing tag"
    )
    assert reply.usage.answer_tokens == len(answer.encode()) + 2, (
        "and the blank line before the answer"
    )
    assert reply.usage.prompt_tokens == len(QUESTION) + 5
    times = reply.timings
    assert times.first_token_s is not None
    assert times.first_answer_s is not None
    assert 0 < times.prefill_s <= times.first_token_s < times.first_answer_s < times.total_s


def test_ask_repeats_with_its_seed(tiny: Reasoner) -> None:
    first = tiny.ask(QUESTION, temperature=1.5)
    again = tiny.ask(QUESTION, temperature=1.5, seed=first.seed)
    assert (again.thinking, again.answer) == (first.thinking, first.answer)
    assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
    assert len({tiny.ask(QUESTION, temperature=3.0, top_p=1.0).thinking for _ in range(3)}) == 3


def test_thoughts_do_not_stay_in_the_cache() -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        replies = [reasoner.ask(f"What is {first} + 586?", seed=1) for first in (347, 21, 9)]
        cache = local(reasoner).scheduler.cache
        kept = cache.parked_tokens + sum(len(slot.cached) for slot in cache.slots)
        assert kept <= sum(reply.usage.prompt_tokens for reply in replies)


def test_messages(tiny: Reasoner) -> None:
    messages = [
        Message(role="user", content="What is 1 + 2?"),
        Message(role="assistant", content="3"),
        Message(role="user", content="Add 4 to that."),
    ]
    reply = tiny.ask(messages, temperature=0)
    assert reply.usage.prompt_tokens == 1 + (1 + 14) + (1 + 1 + 1) + (1 + 14) + 3
    with pytest.raises(UsageError, match="no question"):
        tiny.ask("  \n")


def test_a_stream_is_iterated_once(tiny: Reasoner) -> None:
    stream = tiny.stream(QUESTION, max_tokens=5)
    with pytest.raises(UsageError, match="has not ended"):
        _ = stream.reply
    list(stream)
    with pytest.raises(UsageError, match="iterated already"):
        list(stream)


def test_closing_early_frees_the_place_and_keeps_what_there_is() -> None:
    with minireason.load("tiny", n_seq_max=1, n_threads=1) as reasoner:
        with reasoner.stream(QUESTION, temperature=0) as stream:
            seen = "".join(
                event.text
                for event, _ in zip(stream, range(6), strict=False)
                if isinstance(event, ThinkingDelta)
            )
        assert stream.reply.thinking.startswith(seen)
        assert (stream.reply.finish_reason, stream.reply.thinking_end) == ("cancelled", "unclosed")
        assert reasoner.ask(QUESTION, temperature=0).finish_reason == "stop", (
            "the only place is free again"
        )
        next(reasoner.stream(QUESTION))  # dropped without being closed
        gc.collect()
        assert reasoner.ask(QUESTION, temperature=0).finish_reason == "stop"


def test_more_open_streams_than_places(monkeypatch: pytest.MonkeyPatch) -> None:
    with minireason.load("tiny", n_seq_max=1, n_threads=1) as reasoner:
        held = reasoner.stream(QUESTION, temperature=0)
        next(held)
        waiting = reasoner.stream("What is 1 + 1?", temperature=0)
        assert parts(waiting)[2].finish_reason == "stop", (
            "the held one runs to its end in the meantime"
        )
        monkeypatch.setattr("minireason.backends.assembly.UNREAD_TOKENS", 4)
        full = reasoner.stream(QUESTION, temperature=0)
        next(full)
        other = reasoner.ask("What is 1 + 1?", temperature=0)
        assert other.answer == waiting.reply.answer, "the unread one waits in its place"
        reply = parts(full)[2]
        assert (reply.thinking, reply.answer) == (held.reply.thinking, held.reply.answer)


def test_two_streams_from_one_thread_equal_the_same_alone(tiny: Reasoner) -> None:
    questions = [QUESTION, "How many r's are in strawberry?"]
    alone = [tiny.ask(question, temperature=0) for question in questions]
    first, second = (tiny.stream(question, temperature=0) for question in questions)
    collected: list[list[Event]] = [[], []]
    pending = [(first, collected[0]), (second, collected[1])]
    while pending:
        for stream, events in list(pending):
            try:
                events.append(next(stream))
            except StopIteration:
                pending.remove((stream, events))
    for events, reply in zip(collected, alone, strict=True):
        assert parts(events)[:2] == (reply.thinking, reply.answer)


def test_streams_from_many_threads_equal_the_same_alone(tiny: Reasoner) -> None:
    questions = [f"What is {number} + {7 * number}?" for number in range(11, 23)]
    alone = [tiny.ask(question, temperature=0) for question in questions]
    replies: dict[int, Reply] = {}

    def work(index: int) -> None:
        replies[index] = parts(tiny.stream(questions[index], temperature=0))[2]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [
        (replies[index].thinking, replies[index].answer) for index in range(len(questions))
    ] == [(r.thinking, r.answer) for r in alone]


def test_cancel_from_another_thread(tiny: Reasoner) -> None:
    stream = tiny.stream(QUESTION, temperature=0)
    events: list[Event] = []
    for event in stream:
        events.append(event)
        if len(events) == 5:
            threading.Thread(target=stream.cancel).start()
    reply = parts(events)[2]
    assert reply.finish_reason == "cancelled"
    assert reply.thinking


@pytest.mark.parametrize("limit", [1, 2, 5, 20, 60, 200])
def test_max_tokens_leave_room_for_an_answer(tiny: Reasoner, limit: int) -> None:
    reply = tiny.ask("What is 347 + 586?", temperature=0, max_tokens=limit)
    assert (
        reply.usage.thinking_tokens + reply.usage.answer_tokens + reply.usage.forced_tokens <= limit
    )
    assert "The answer is".startswith(reply.answer[:13])
    assert reply.answer
    assert reply.finish_reason == ("length" if limit < 60 else "stop")
    assert reply.thinking_end == ("skipped" if limit < 20 else "budget")


def test_no_rate_where_nothing_was_generated(tiny: Reasoner) -> None:
    stream = tiny.stream(QUESTION, temperature=0)
    stream.finish_thinking()
    next(stream)
    stream.close()
    usage = stream.reply.usage
    assert (usage.thinking_tokens, usage.answer_tokens) == (0, 0)
    assert usage.forced_tokens > 10
    assert stream.reply.timings.tokens_per_s is None


def test_prefill_does_not_wait_for_streams_that_nobody_runs() -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        held, dropped = (reasoner.stream(QUESTION, temperature=0) for _ in range(2))
        next(held)
        next(dropped)
        del dropped
        chat = reasoner.chat(system="Be kind.")
        chat.send("What is 1 + 2?", temperature=0)
        assert chat.prefill() > 10
        assert parts(held)[2].finish_reason == "stop"


def test_stop_strings_end_the_answer_only(tiny: Reasoner) -> None:
    plain = tiny.ask(QUESTION, temperature=0)
    stopped = tiny.ask(QUESTION, temperature=0, stop=("12 + 5", "answer"))
    assert stopped.thinking == plain.thinking
    assert "12 + 5" in stopped.thinking
    assert (stopped.answer, stopped.finish_reason) == ("The", "stop")


def test_no_thinking(tiny: Reasoner) -> None:
    for reply in (
        tiny.ask(QUESTION, temperature=0, thinking=False),
        tiny.ask(QUESTION, temperature=0, thinking_budget=0),
    ):
        assert (reply.thinking, reply.thinking_end, reply.usage.thinking_tokens) == (
            "",
            "skipped",
            0,
        )
        assert reply.boxed


def test_a_full_context_leaves_room_for_an_answer() -> None:
    with minireason.load("tiny", n_ctx=96, n_threads=1) as reasoner:
        reply = reasoner.ask(QUESTION, temperature=0)
        assert (reply.finish_reason, reply.thinking_end) == ("stop", "budget")
        assert reply.boxed
        assert reply.thinking.startswith("12 + 5")
        for prompt in ("1 + " * 40, "1 + " * 4000):
            with pytest.raises(ContextFull, match="a larger n_ctx, up to 4096") as caught:
                reasoner.ask(prompt)
            assert (caught.value.n_ctx, caught.value.max_n_ctx) == (96, 4096)
        with pytest.raises(ContextFull, match="up to 4096"):
            reasoner.solve("1 + " * 40)


def test_a_context_as_long_as_the_model_was_trained_for_cannot_be_larger(tiny: Reasoner) -> None:
    with pytest.raises(ContextFull, match=r"4096 with the reply, the most .* trained") as caught:
        tiny.ask("1 + " * 1100)
    assert "larger" not in str(caught.value)


def test_a_full_context_keeps_what_was_written(smollm2_path: Path) -> None:
    with minireason.load(smollm2_path, n_ctx=64) as reasoner:
        reply = reasoner.ask("Write a very long story about a fox.", temperature=0)
        assert reply.finish_reason == "length"
        assert reply.usage.prompt_tokens + reply.usage.answer_tokens == 64
        assert len(reply.answer) > 20


def test_prefill_is_reported(tiny: Reasoner) -> None:
    seen: list[tuple[int, int]] = []
    list(
        tiny.stream(
            "7" * 900, max_tokens=100, on_prefill=lambda done, total: seen.append((done, total))
        )
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 3
    assert {total for _, total in seen} == {905}


def test_history_keeps_answers_and_drops_thinking(tiny: Reasoner) -> None:
    chat = tiny.chat(system="Be kind.")
    first = chat.send("What is 12 + 5?", temperature=0)
    turn = chat.stream("Add 4 to that.", temperature=0)
    _, answer, second = parts(turn)
    assert [message["role"] for message in chat.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert [message["content"] for message in chat.messages[1:]] == [
        "What is 12 + 5?",
        first.answer,
        "Add 4 to that.",
        answer,
    ]
    assert second.usage.cached_tokens >= first.usage.prompt_tokens - 3, (
        "the first turn is not read again"
    )
    chat.clear()
    assert chat.messages == [Message(role="system", content="Be kind.")]


def test_a_turn_without_an_answer_leaves_no_trace(tiny: Reasoner) -> None:
    chat = tiny.chat()
    turn = chat.stream("What is 12 + 5?")
    turn.cancel()
    assert parts(turn)[2].answer == ""
    assert chat.messages == []
