"""Servers that lie: no memory is filled, nobody waits for ever, and each is one sentence."""

from __future__ import annotations

import json
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import pytest

from minireason import AnswerDelta, Reasoner, ServerError, UsageError
from minireason.backends.remote import bounds
from minireason.backends.remote.sse import EventReader
from tests.backends.remote.misbehaving import (
    DONE,
    Answer,
    Misbehaving,
    chunk,
    models,
    page,
    refused,
    reply,
)
from tests.server.serving import WAIT_S

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]

TOO_MUCH = "sends more than any answer holds"


def endless(part: bytes, **options: Any) -> Answer:
    """More of a part than fits any memory."""
    return Answer(repeat(part, 2**40 // len(part)), **options)


def bomb(mib: int) -> bytes:
    """So many MiB of zeros in a thousandth of that."""
    packed = zlib.compressobj(wbits=31)
    return b"".join([*(packed.compress(bytes(2**20)) for _ in range(mib)), packed.flush()])


def scored(tokens: int) -> bytes:
    """A chunk without text, which tells log-probabilities of so many tokens."""
    listed = [{"token": "a", "logprob": -1.0}] * tokens
    choice = {"delta": {}, "logprobs": {"content": listed}}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


@contextmanager
def proxy(answer: bytes) -> Iterator[str]:
    """A proxy that has one answer for everybody, once."""
    with socket.create_server(("127.0.0.1", 0)) as own:

        def serve() -> None:
            client, _ = own.accept()
            with client:
                client.recv(65536)
                client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{own.getsockname()[1]}"


JUNK = b"x" * 2**16


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (endless(JUNK), "an event that never ends"),
        (endless(b"data: x\n" * 2**13), "an event that never ends"),
        (endless(JUNK, kind="application/json"), TOO_MUCH),
        (endless(JUNK, status=400), TOO_MUCH),
        (endless(chunk(content="x" * 2**16)), TOO_MUCH),
        (endless(chunk(content="") + chunk(content="x" * 2**16)), TOO_MUCH),
        (endless(scored(1000)), TOO_MUCH),
    ],
)
def test_a_reply_without_an_end(
    misbehaving: Make, connected: Connect, answer: Answer, told: str
) -> None:
    server = misbehaving(answer)
    with pytest.raises(ServerError, match=told):
        connected(server.url).ask("?")
    assert server.gone.wait(WAIT_S)


def test_a_reply_that_is_packed(misbehaving: Make, connected: Connect) -> None:
    server = misbehaving(Answer([bomb(100)], headers={"Content-Encoding": "gzip"}))
    with pytest.raises(ServerError, match="an event that never ends"):
        connected(server.url).ask("?")


@pytest.mark.parametrize(
    "page",
    [
        endless(JUNK, kind="application/json"),
        Answer([bomb(100)], headers={"Content-Encoding": "gzip"}, kind="application/json"),
    ],
)
def test_a_list_of_models_without_an_end(
    misbehaving: Make, connected: Connect, page: Answer
) -> None:
    with pytest.raises(ServerError, match=TOO_MUCH):
        connected(misbehaving(pages={"/v1/models": page}).url)


@pytest.mark.parametrize(("count", "size"), [(5 * bounds.MAX_UNREAD, 4000), (24, 2**20)])
def test_a_reply_that_nobody_reads_waits_at_the_server(
    misbehaving: Make, connected: Connect, count: int, size: int
) -> None:
    """Many pieces wait, and few that are large."""
    sent_all = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield from repeat(chunk(content="x", pad="y" * size), count)
        sent_all.set()
        yield chunk(finish="stop") + DONE

    stream = connected(misbehaving(Answer(pieces())).url).stream("?")
    next(stream)
    assert not sent_all.wait(1)
    events = [event for event in stream if isinstance(event, AnswerDelta)]
    assert len(events) == count - 1


@pytest.mark.slow
def test_long_lines_and_many_lines_take_time_by_their_length() -> None:
    """A MiB of lines, and of one in single bytes: it took minutes while each was copied."""
    reader = EventReader()
    assert not any(list(reader.feed(b"\n" * 2**20)) for _ in range(2))
    assert not any(list(reader.feed(b"x")) for _ in range(2**20))


@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_half_of_a_pair_is_no_character(misbehaving: Make, connected: Connect, field: str) -> None:
    delta = b'data: {"choices": [{"delta": {"%s": "a\\ud800b"}}]}\n\n' % field.encode()
    server = misbehaving(Answer([delta, chunk(finish="stop"), DONE]))
    reply = connected(server.url).ask("?")
    assert reply.thinking + reply.answer == "a?b"


@pytest.mark.parametrize("count", [10**4000, -1, 1e400, float("nan"), "7", [7], True, None])
def test_counts_that_cannot_be(misbehaving: Make, connected: Connect, count: object) -> None:
    usage = {
        "prompt_tokens": count,
        "completion_tokens": count,
        "completion_tokens_details": {"reasoning_tokens": count},
    }
    server = misbehaving(
        Answer([chunk(reasoning="a"), chunk(content="b", finish="stop", usage=usage), DONE])
    )
    usage_of = connected(server.url).ask("?").usage
    assert (usage_of.thinking_tokens, usage_of.answer_tokens) == (1, 1)


@pytest.mark.parametrize("told", ["confidence", 7, [["budget"]], {}])
def test_an_end_of_thinking_that_there_is_not(
    misbehaving: Make, connected: Connect, told: object
) -> None:
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    last["minireason"] = {"thinking_end": told}  # type: ignore[assignment]
    data = b"data: " + json.dumps(last).encode() + b"\n\n"
    server = misbehaving(Answer([chunk(content="b"), data, DONE]), owner="minireason")
    assert connected(server.url).ask("?").thinking_end is None


def test_what_a_server_says_controls_no_terminal(misbehaving: Make, connected: Connect) -> None:
    said = "\x1b[31mred\x07 \x9b0m \u202e\nnext"
    server = misbehaving(
        refused(400, said), Answer([b'data: {"error": {"message": "\\u001b["}}\n\n'])
    )
    reasoner = connected(server.url)
    for _ in range(2):
        with pytest.raises((UsageError, ServerError)) as error:
            reasoner.ask("?")
        assert str(error.value).isprintable()
    listed = models("\x1b[31m", "c" * 10**6, "a", "b", {"a": 1})  # type: ignore[arg-type]
    server = misbehaving(pages={"/v1/models": listed})
    with pytest.raises(UsageError, match="name one: a, b\\."):
        connected(server.url)


def test_what_the_connection_says_controls_no_terminal_either(
    misbehaving: Make, connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that is none, which httpx2 tells whole, and what a proxy says."""
    said = "\x1b[31mred" + "x" * 50_000
    server = misbehaving(*[Answer(headers={"no header": said})] * 5)
    with pytest.raises(ServerError) as error:
        connected(server.url).ask("?")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500
    with proxy(b"HTTP/1.1 407 \x1b[31mred\r\n\r\n") as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        with pytest.raises(ServerError, match="407") as error:
            connected("https://localhost:1/v1")
    assert str(error.value).isprintable()


@pytest.mark.parametrize("finish", ["abort", "error"])
def test_a_reply_that_a_server_gives_up_is_not_whole(
    misbehaving: Make, connected: Connect, finish: str
) -> None:
    server = misbehaving(reply(chunk(content="The answer is"), finish=finish))
    with pytest.raises(ServerError, match=f"broke the reply off: {finish}"):
        connected(server.url).ask("?")


def test_a_reply_that_is_filtered_is_refused(misbehaving: Make, connected: Connect) -> None:
    reasoner = connected(misbehaving(reply(chunk(content="To"), finish="content_filter")).url)
    stream = reasoner.stream("?")
    with pytest.raises(UsageError, match=r"withholds the reply \(content_filter\)"):
        list(stream)
    assert stream.reply.answer == "To"


def test_what_a_model_says_where_it_refuses_a_form_is_its_answer(
    misbehaving: Make, connected: Connect
) -> None:
    said = [chunk(refusal="I cannot "), chunk(refusal="say.")]
    assert connected(misbehaving(reply(*said)).url).ask("?").answer == "I cannot say."


def test_a_choice_that_nobody_asked_for(misbehaving: Make, connected: Connect) -> None:
    other = {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}
    alone, beside = json.dumps({"choices": [other]}), json.loads(chunk(content="b")[5:])
    beside["choices"].insert(0, other)
    parts = [f"data: {data}\n\n".encode() for data in (alone, json.dumps(beside))]
    reply = connected(misbehaving(Answer([*parts, chunk(finish="stop"), DONE])).url).ask("?")
    assert (reply.answer, reply.finish_reason) == ("b", "stop")


@pytest.mark.parametrize("before", range(280, 300))
def test_a_key_that_a_server_repeats_is_hidden_before_it_is_cut(
    misbehaving: Make, connected: Connect, before: int
) -> None:
    server = misbehaving(refused(400, "x" * before + "sk-very-secret"))
    with pytest.raises(UsageError) as error:
        connected(server.url, api_key="sk-very-secret").ask("?")
    assert "sk-" not in str(error.value)


@pytest.mark.parametrize("wait", ["nan", "-inf", "-1", "soon"])
def test_a_wait_that_cannot_be(misbehaving: Make, connected: Connect, wait: str) -> None:
    server = misbehaving(
        refused(503, Retry_After=wait), Answer([chunk(content="b", finish="stop"), DONE])
    )
    assert connected(server.url).ask("?").answer == "b"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "socks9://user:secret@proxy"),
        ("ALL_PROXY", "http://user:secret@proxy:port"),
        ("SSL_CERT_FILE", "/nowhere"),
        ("SSL_CERT_FILE", __file__),
    ],
)
def test_an_environment_that_makes_no_sense(
    connected: Connect, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name) as error:
        connected("https://127.0.0.1:1/v1")
    assert "secret" not in str(error.value)


def test_encryption_where_there_is_none(misbehaving: Make, connected: Connect) -> None:
    url = misbehaving().url.replace("http:", "https:")
    with pytest.raises(ServerError, match=r"by TLS .* http://"):
        connected(url)


@pytest.mark.parametrize("url", ["http://a b/v1", "http://a\nb/v1", "http://\x1b[1m/v1"])
def test_a_url_with_what_no_url_has(connected: Connect, url: str) -> None:
    with pytest.raises(UsageError, match=re.escape("is no URL of a server")):
        connected(url)


def test_a_loop_in_a_script_without_white_space(misbehaving: Make, connected: Connect) -> None:
    """Each character of Chinese stands for a token there, as it about does for a model."""
    round_of = "我们再检查一次这个结果是否正确。"
    server = misbehaving(
        endless(chunk(reasoning=round_of)),
        Answer([chunk(content="二", finish="stop"), DONE]),
        owner="sglang",
    )
    reply = connected(server.url).ask("?")
    assert (reply.thinking_end, reply.answer) == ("loop", "二")


@pytest.mark.slow
def test_a_thought_of_more_words_than_are_told_apart(misbehaving: Make, connected: Connect) -> None:
    """It was an error of Python's, which has fewer characters than that."""

    def pieces() -> Iterator[bytes]:
        for begin in range(0, 1_200_000, 10_000):
            yield chunk(reasoning="".join(f"{word:x} " for word in range(begin, begin + 10_000)))
        yield chunk(content="b", finish="stop") + DONE

    assert connected(misbehaving(Answer(pieces())).url).ask("?").answer == "b"


def test_what_nests_where_words_are_expected(misbehaving: Make, connected: Connect) -> None:
    """Where the stack is deep already, it cannot be written as text, nor sent back as a token."""
    nested: object = "vllm"
    for _ in range(900):
        nested = [nested]
    listed = {"data": [{"id": name, "owned_by": nested} for name in "ab"]}
    listed["data"][0]["owned_by"] = "sglang"
    pages = {"/v1/models": page(listed), "/v1/tokenize": page({"tokens": [nested]})}
    server = misbehaving(reply(chunk(content="b")), pages=pages)

    def connect(depth: int) -> Reasoner:
        return connect(depth - 1) if depth else connected(server.url, model="a")

    assert connect(150).ask("?").answer == "b"
    with pytest.raises(UsageError, match="name one: a, b"):
        connected(server.url)
