"""Servers that drop, stall, refuse and babble: nothing doubled, nothing lost, clear errors."""

from __future__ import annotations

import gc
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

import minireason
from minireason import BadSetting, ContextFull, Reasoner, ServerError, UsageError
from minireason.backends.capabilities import TellsRetries
from tests.backends.remote.misbehaving import (
    DONE,
    Answer,
    Misbehaving,
    Stall,
    chunk,
    models,
    page,
    refused,
    reply,
)
from tests.server.serving import WAIT_S, until

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]


def test_what_is_refused_for_now_is_asked_again(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(
        refused(429, Retry_After="0"),
        refused(503, Retry_After="0"),
        Answer([chunk(role="assistant", content="")]),
        Answer([chunk(role="assistant", content=""), DONE]),
        reply(chunk(content="Yes.")),
    )
    assert connected(server.url).ask("?").answer == "Yes."
    assert len(server.bodies) == 5
    assert all(body == server.bodies[0] for body in server.bodies)


def test_at_some_time_it_gives_up(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(*[refused(429, "busy", Retry_After="0")] * 9)
    with pytest.raises(ServerError, match="status 429: busy") as error:
        connected(server.url).ask("?")
    assert error.value.status == 429
    assert len(server.bodies) == 5


@pytest.mark.parametrize(
    ("status", "problem"), [(429, "busy (status 429)"), (500, "failed (status 500)")]
)
def test_what_is_asked_again_is_told(
    misbehaving: Make, connected: Connect, status: int, problem: str
) -> None:
    backend = connected(misbehaving(refused(status, Retry_After="60")).url).backend
    assert isinstance(backend, TellsRetries)
    with Reasoner(backend).stream("?") as stream:
        stream.poll()
        until(lambda: backend.retry)
        assert backend.retry
        assert (backend.retry.problem, backend.retry.number) == (problem, 2)
    until(lambda: backend.retry is None, "nothing is asked for a stream that was closed")


def test_as_many_requests_as_asked_for_are_under_way(misbehaving: Make, connected: Connect) -> None:
    together = threading.Barrier(90)

    def answer(_body: dict[str, Any]) -> Answer:
        together.wait(WAIT_S)  # nobody is answered before all have asked
        return reply(chunk(content="Yes."))

    reasoner = connected(misbehaving(*[answer] * 90).url, max_parallel=90)
    streams = [reasoner.stream("?") for _ in range(90)]
    for stream in streams:
        stream.poll()
    for stream in streams:
        list(stream)
    assert {stream.reply.answer for stream in streams} == {"Yes."}


def test_a_reply_that_has_begun_is_never_asked_again(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(Answer([chunk(content="One ")]), reply(chunk(content="Two.")))
    stream = connected(server.url).stream("?")
    with pytest.raises(ServerError, match="lost in the middle"):
        list(stream)
    assert stream.ended
    assert stream.reply.answer == "One"
    assert len(server.bodies) == 1


def test_an_end_without_its_reason_is_none(misbehaving: Make, connected: Connect) -> None:
    """As llama-cpp-python's server ends a reply once another one is asked for."""
    server = misbehaving(Answer([chunk(content="One "), DONE]))
    with pytest.raises(ServerError, match="lost in the middle"):
        connected(server.url).ask("?")


def test_why_a_stream_is_empty_is_asked(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(Answer(), refused(400, "no such thing"))
    with pytest.raises(UsageError, match="no such thing"):
        connected(server.url).ask("?")
    streamed, whole = server.bodies
    assert whole == {
        **{name: value for name, value in streamed.items() if name != "stream_options"},
        "stream": False,
        "max_tokens": 1,
    }


def test_an_empty_stream_without_a_reason_is_asked_for_again(
    misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(Answer(), page({"choices": []}), reply(chunk(content="Yes.")))
    assert connected(server.url).ask("?").answer == "Yes."


@pytest.mark.parametrize(
    "sentence",
    [
        "The prompt has 5000 tokens and the context holds 4096 with the reply; shorten it.",
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "This model's maximum context length is 4096 tokens. However, you requested 5010 tokens "
        "(5000 in the messages, 10 in the completion).",
        "This model's maximum context length is 4096 tokens. However, your request has 5000 input "
        "tokens.",
    ],
)
def test_a_prompt_that_is_too_long(misbehaving: Make, connected: Connect, sentence: str) -> None:
    with pytest.raises(ContextFull) as error:
        connected(misbehaving(refused(400, sentence)).url).ask("?")
    assert (error.value.prompt_tokens, error.value.n_ctx) == (5000, 4096)


def test_a_reply_that_is_too_long_is_another_matter(misbehaving: Make, connected: Connect) -> None:
    sentence = (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
        "(10 in the messages, 4990 in the completion)."
    )
    with pytest.raises(UsageError, match="4990 in the completion"):
        connected(misbehaving(refused(400, sentence)).url).ask("?")


def test_a_refusal_is_told(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(refused(400, "no such thing as key sk-1234"))
    with pytest.raises(UsageError, match=r"refused the request .*no such thing as key \[key\]"):
        connected(server.url, api_key="sk-1234").ask("?")


def test_silence_ends(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(Answer([chunk(content="One"), Stall()]))
    with pytest.raises(ServerError, match="said nothing for too long"):
        connected(server.url, read_s=0.2).ask("?")


def test_closing_frees_the_connection(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(Answer([chunk(content="One two"), Stall()]))
    stream = connected(server.url).stream("?")
    assert next(iter(stream))
    stream.close()
    assert server.gone.wait(WAIT_S)
    assert stream.reply.answer == "One two"


def test_dropping_frees_the_connection(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(Answer([chunk(content="One two"), Stall()]))
    stream = connected(server.url).stream("?")
    assert next(iter(stream))
    del stream
    assert server.gone.wait(WAIT_S)


def test_closing_leaves_no_task_behind(misbehaving: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Those that a loop is stopped with are told of by asyncio, at a quarter of all ends once."""
    server = misbehaving(*[reply(chunk(content="Yes."), chunk(content=" No."))] * 50)
    before = set(threading.enumerate())
    for _ in range(50):
        with minireason.connect(server.url) as reasoner:
            assert reasoner.ask("?").answer == "Yes. No."
    for thread in set(threading.enumerate()) - before:
        if thread.name == "minireason-remote":
            thread.join(WAIT_S)
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_chunks_may_be_cut_anywhere(misbehaving: Make, connected: Connect) -> None:
    whole = b": hello\r\n\r\n" + chunk(reasoning="Hm ä.") + chunk(content="Jö.")
    whole += chunk(finish="stop") + DONE
    server = misbehaving(Answer([whole[at : at + 1] for at in range(len(whole))]))
    got = connected(server.url).ask("?")
    assert (got.thinking, got.answer) == ("Hm ä.", "Jö.")


def test_a_thought_in_both_fields_counts_once(misbehaving: Make, connected: Connect) -> None:
    both = chunk(reasoning="Hm.", reasoning_content="Hm.")
    got = connected(misbehaving(reply(both, chunk(content="Yes."))).url).ask("?")
    assert (got.thinking, got.answer, got.thinking_end) == ("Hm.", "Yes.", "natural")


def test_tags_may_be_split_over_chunks(misbehaving: Make, connected: Connect) -> None:
    text = "<think>\nHm.\n</think>\n\nYes <think>."
    server = misbehaving(reply(*(chunk(content=char) for char in text)))
    got = connected(server.url).ask("?")
    assert (got.thinking, got.answer) == ("Hm.", "Yes <think>.")


def test_without_usage_tokens_are_counted_by_pieces(misbehaving: Make, connected: Connect) -> None:
    thoughts = [chunk(reasoning=f" {number}") for number in range(7)]
    got = connected(misbehaving(reply(*thoughts, chunk(content="Yes."))).url).ask("?")
    assert (got.usage.thinking_tokens, got.usage.answer_tokens) == (7, 1)


def test_usage_goes_before_the_count(misbehaving: Make, connected: Connect) -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 40}}
    usage = {"prompt_tokens": 11, "completion_tokens": 50, **details}
    server = misbehaving(reply(chunk(reasoning="Hm."), chunk(content="Yes.", usage=usage)))
    got = connected(server.url).ask("?").usage
    assert (got.prompt_tokens, got.thinking_tokens, got.answer_tokens) == (11, 40, 10)


def test_a_reply_that_is_not_streamed(misbehaving: Make, connected: Connect) -> None:
    message = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    server = misbehaving(page({"choices": [{"message": message, "finish_reason": "stop"}]}))
    got = connected(server.url).ask("?")
    assert (got.thinking, got.answer) == ("Hm.", "Yes.")


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: 7\n\n"])
def test_what_is_no_reply(misbehaving: Make, connected: Connect, data: bytes) -> None:
    with pytest.raises(ServerError, match="no JSON of a reply"):
        connected(misbehaving(Answer([data])).url).ask("?")


def test_an_error_in_the_middle(misbehaving: Make, connected: Connect) -> None:
    fault = b"data: " + json.dumps({"error": {"message": "out of memory"}}).encode() + b"\n\n"
    server = misbehaving(Answer([chunk(content="One"), fault]))
    with pytest.raises(ServerError, match="broke the reply off: out of memory"):
        connected(server.url).ask("?")


def test_the_key_goes_to_no_other_host(
    misbehaving: Make, connected: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    other = misbehaving(reply(chunk(content="Mine.")))
    server = misbehaving(Answer([], 307, {"Location": f"{other.url}/chat/completions"}))
    reasoner = connected(server.url, api_key="sk-secret")
    with pytest.raises(ServerError, match="redirects to another address"):
        reasoner.ask("?")
    assert server.keys[-1] == "Bearer sk-secret"
    assert not other.keys
    assert "sk-secret" not in caplog.text


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://localhost", "http://", "http://me:pw@localhost", "http://[", 7]
)
def test_what_is_no_url(connected: Connect, url: Any) -> None:
    with pytest.raises(UsageError) as error:
        connected(url)
    assert "pw" not in str(error.value)


def test_nobody_is_there(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving()
    url = server.url
    server.stop()
    with pytest.raises(ServerError, match="cannot be reached"):
        connected(url)


def test_another_server_is_told_from_one_of_ours(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(pages={"/v1/models": page({"hello": 1})})
    with pytest.raises(ServerError, match="lists no models"):
        connected(server.url)


def test_of_several_models_one_is_named(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(pages={"/v1/models": models("a", "b")})
    with pytest.raises(UsageError, match="name one: a, b"):
        connected(server.url)
    assert connected(server.url, model="b").name == "b"


def test_the_version_may_be_left_out_of_the_url(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(reply(chunk(content="Yes.")))
    assert connected(server.url.removesuffix("/v1")).ask("?").answer == "Yes."


def test_a_setting_that_a_plain_server_cannot_follow(misbehaving: Make, connected: Connect) -> None:
    reasoner = connected(misbehaving().url)
    for changes in ({"thinking_budget": 9}, {"thinking": False}, {"choices": ["a"]}):
        with pytest.raises(BadSetting, match="kind plain"):
            reasoner.stream("?", **changes)  # type: ignore[call-overload]
