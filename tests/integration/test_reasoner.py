"""The public API on the built-in model, with the real library underneath."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

import minireason
from minireason import (
    AnswerDelta,
    BadSetting,
    ContextFull,
    Done,
    EngineError,
    Event,
    Message,
    ModelFileError,
    Reasoner,
    Reply,
    Settings,
    ThinkingDelta,
    UsageError,
)
from minireason.models import catalog
from tests.local import local

QUESTION = "What is 347 + 586?"


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
    assert thinking.startswith("347 + 586")
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


def test_thoughts_do_not_stay_in_the_cache_where_every_later_token_would_attend_to_them() -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        replies = [reasoner.ask(f"What is {first} + 586?", seed=1) for first in (347, 21, 9)]
        kept = local(reasoner).scheduler.cache.used
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
        monkeypatch.setattr("minireason.reasoning.reply.BUFFERED_EVENTS", 4)
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
    reply = tiny.ask(QUESTION, temperature=0, max_tokens=limit)
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
    stopped = tiny.ask(QUESTION, temperature=0, stop=("586", "answer"))
    assert stopped.thinking == plain.thinking
    assert "586" in stopped.thinking
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
        assert reply.thinking.startswith("347 + 586")
        with pytest.raises(ContextFull) as caught:
            reasoner.ask("1 + " * 40)
        assert caught.value.n_ctx == 96


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


def test_wrong_settings_are_refused_before_anything_runs(tiny: Reasoner) -> None:
    with pytest.raises(BadSetting, match="did you mean temperature"):
        tiny.stream(QUESTION, temprature=1)  # type: ignore[call-arg]
    with pytest.raises(BadSetting, match="n_ctx"):
        minireason.load("no-such-model", n_ctx=-5)
    with pytest.raises(BadSetting, match="4096"):
        minireason.load("tiny", n_ctx=5000)


@pytest.mark.parametrize(
    "act",
    [
        lambda model: model.ask(None),
        lambda model: model.ask(5),
        lambda model: model.ask(b"What is 5 + 8?"),
        lambda model: model.ask([None]),
        lambda model: model.ask(["What is 5 + 8?"]),
        lambda model: model.ask({"role": "user", "content": "What is 5 + 8?"}),
        lambda model: model.ask([{"role": "user"}]),
        lambda model: model.ask([{"role": [], "content": "x"}]),
        lambda model: model.ask(QUESTION, stop=None),
        lambda model: model.ask(QUESTION, effort=[]),
        lambda model: model.ask(QUESTION, temperature=10**400),
        lambda model: model.ask(QUESTION, schema={"const": float("nan")}),
        lambda model: model.stream(QUESTION, on_prefill=5),
        lambda model: model.count_tokens(None),
        lambda model: model.prefill(None),
        lambda model: model.prefill([5]),
        lambda model: model.prefill([], stopped=5),
        lambda model: model.solve(None),
        lambda model: model.solve([{"role": "user"}]),
        lambda model: model.solve([{"role": "user", "content": 5}]),
        lambda model: model.solve(QUESTION, samples="8"),
        lambda model: model.chat(system=5),
        lambda model: model.chat(read_ahead="yes"),
        lambda model: model.chat(temperature="hot"),
        lambda model: model.chat(temprature=1),
        lambda model: model.chat().send(None),
        lambda model: model.chat().send(b"x"),
        lambda model: model.chat().send([{"role": "user", "content": "x"}]),
        lambda model: model.chat().use("tiny"),
        lambda model: model.chat().save(5),
        lambda model: model.chat().load(None),
        lambda model: model.chat().save_to(5),
        lambda model: setattr(model.chat(), "system", b"Be kind."),
        lambda _: minireason.load(None),
        lambda _: minireason.load(5),
        lambda _: minireason.load("tiny", defaults=5),
        lambda _: minireason.load("tiny", defaults={"temperature": "hot"}),
        lambda _: minireason.load("tiny", on_progress=5),
        lambda _: minireason.pull(None),
        lambda _: minireason.pull("tiny", on_progress=5),
        lambda _: minireason.list_models(every_quant=5),
    ],
)
def test_wrong_types_are_usage_errors(tiny: Reasoner, act: Callable[[Reasoner], object]) -> None:
    with pytest.raises(UsageError) as caught:
        act(tiny)
    assert len(str(caught.value).splitlines()) == 1


def test_settings_go_from_the_model_over_load_and_chat_to_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = replace(
        catalog.find("tiny")[0], sampling={"temperature": 1.0, "top_p": 0.5, "top_k": 40.0}
    )
    monkeypatch.setattr(catalog, "load", lambda: (spec,))
    own = {"top_p": 0.7, "effort": "low", "stop": iter(["END"])}
    with minireason.load("tiny", n_threads=1, defaults=own) as reasoner:
        assert reasoner.defaults == Settings(
            temperature=1.0, top_p=0.7, top_k=40, effort="low", stop=("END",)
        )
        chat = reasoner.chat(top_k=20, thinking_budget=5)
        assert chat.settings == Settings(
            temperature=1.0, top_p=0.7, top_k=20, thinking_budget=5, stop=("END",)
        )
        with pytest.raises(BadSetting, match="cannot end an answer"):
            reasoner.chat(regex="a")
        with pytest.raises(BadSetting, match="cannot end an answer"):
            reasoner.ask(QUESTION, regex="a")
        assert reasoner.ask(QUESTION, effort="none").thinking_end == "skipped"
        assert chat.send(QUESTION, effort="none", temperature=0).thinking_end == "skipped"
        assert 0 < chat.send(QUESTION).usage.thinking_tokens < 60
        solution = reasoner.solve(QUESTION, samples=2, parallel=2, effort="none")
        assert [chain.temperature for chain in solution.chains] == [1.0, 1.0]
        cold = reasoner.solve(QUESTION, samples=2, temperature=0, effort="none")
        assert [chain.temperature for chain in cold.chains] == [0.0], "an explicit one wins"


def test_a_reasoner_a_session_and_a_reply_say_what_they_are(tmp_path: Path) -> None:
    with minireason.load("tiny", n_threads=1) as reasoner:
        assert repr(reasoner) == "<Reasoner tiny: thinks, 4,096 tokens of context, 1 thread>"
        chat = reasoner.chat()
        assert repr(chat) == "<Session with tiny: 0 turns>"
        reply = chat.send("What is 5 + 8?", temperature=0, seed=3)
        chat.save(tmp_path / "talk.jsonl")
        assert repr(chat) == f"<Session with tiny: 1 turn, saved to {tmp_path}/talk.jsonl>"
    assert repr(reasoner).endswith(", closed>")
    assert repr(reply).startswith("Reply(model='tiny', answer='The answer is \\\\boxed{13}.'")
    assert "finish_reason='stop'" in repr(reply)
    long = replace(reply, thinking="x" * 10_000, answer="y" * 10_000, parsed=["z" * 1000] * 1000)
    assert len(repr(long)) < 500
    assert "parsed=['zzz" in repr(long)


def test_loading_says_what_was_decided(
    smollm2_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "minireason")
    with minireason.load("tiny", n_threads=1) as reasoner:
        reasoner.ask("What is 5 + 8?", temperature=0)
    told = caplog.text
    for part in (
        "model tiny, file ",
        "tiny.gguf",
        "context 4096 tokens",
        "starts with 1024",
        "KV cache f16",
        "1 threads",
        "flash attention o",
        "repack off",
        "0 layers on the GPU",
        "no trial run: the file came with minireason",
        "tiny is loaded",
    ):
        assert part in told
    for expected in ("trial run: the file is used", "no trial run: the file was used before"):
        caplog.clear()
        minireason.load(smollm2_path, n_ctx=256).close()
        assert any(message.startswith(expected) for message in caplog.messages)


def test_a_cache_that_grows_is_told_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "minireason")
    with minireason.load("tiny", n_threads=1) as reasoner:
        reasoner.ask("7" * 1500, max_tokens=5)
    grown = [record for record in caplog.records if "KV cache holds" in record.message]
    assert {record.levelno for record in grown} == {logging.DEBUG}
    assert all(record.name.startswith("minireason.") for record in caplog.records)


def test_a_program_that_does_not_listen_hears_nothing() -> None:
    assert any(isinstance(h, logging.NullHandler) for h in logging.getLogger("minireason").handlers)


def test_every_exported_name_is_there() -> None:
    assert {name for name in minireason.__all__ if not hasattr(minireason, name)} == set()
    assert set(dir(minireason)) == set(minireason.__all__)


def test_a_closed_reasoner_says_so() -> None:
    reasoner = minireason.load("tiny")
    stream = reasoner.stream(QUESTION)
    next(stream)
    reasoner.close()
    reasoner.close()
    with pytest.raises(EngineError, match="closed"):
        reasoner.ask(QUESTION)
    with pytest.raises(EngineError, match="closed"):
        list(stream)


def test_a_model_that_does_not_think(smollm2_path: Path) -> None:
    with minireason.load(smollm2_path) as reasoner:
        assert not reasoner.thinks
        reply = reasoner.ask("Name three colours.", temperature=0, max_tokens=12)
        assert (reply.thinking, reply.thinking_end, reply.usage.thinking_tokens) == ("", None, 0)
        assert "Red" in reply.answer


def test_another_models_template_gives_the_peers_tokens(smollm2_path: Path) -> None:
    """Against llama-cpp-python's own rendering and tokenizer.

    Vocabulary alone: it crashes when it decodes on a CPU with AMX.
    """
    messages = [Message(role="user", content="What is the capital of France?")]
    with minireason.load(smollm2_path) as reasoner:
        ours = local(reasoner).encoder.encode(messages).ids
    peer = Llama(str(smollm2_path), vocab_only=True, verbose=False)
    eos, bos = (peer._model.token_get_text(token) for token in (peer.token_eos(), peer.token_bos()))
    rendered = Jinja2ChatFormatter(peer.metadata["tokenizer.chat_template"], eos, bos)(
        messages=messages
    ).prompt
    assert ours == peer.tokenize(rendered.encode(), add_bos=False, special=True)
    peer.close()


def test_a_damaged_file_is_an_error_not_a_crash(tiny_path: Path, tmp_path: Path) -> None:
    """Bytes flipped all over the header: refused by us or in a child process, or harmless.

    Never fatal.
    """
    raw = tiny_path.read_bytes()
    refused = 0
    for position in range(4, 5200, 433):
        damaged = bytearray(raw)
        damaged[position] ^= 0x5A
        path = tmp_path / f"damaged-{position}.gguf"
        path.write_bytes(damaged)
        try:
            minireason.load(path).close()
        except (ModelFileError, BadSetting, EngineError):
            refused += 1
    assert refused


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
