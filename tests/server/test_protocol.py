"""Clients that are slow on purpose, each with a connection of its own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from minireason.messages import Message
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.plain import PATH, body
from tests.server.serving import Served, read_to_end, request, until

Serve = Callable[..., Served]


def test_a_head_that_never_ends_is_closed(served: Serve) -> None:
    one = served(read_timeout_s=0.4)
    with one.connect() as own, one.client() as client:
        own.sendall(b"GET /health HTTP/1.1\r\n")
        answer = read_to_end(own)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert client.get("/health").status_code == 200


def test_a_head_of_one_byte_at_a_time_is_closed(served: Serve) -> None:
    one = served(read_timeout_s=0.4)
    sent = 0
    with one.connect() as own:
        try:
            for byte in b"GET /health HTTP/1.1\r\nX: " + b"y" * 10_000:
                own.sendall(bytes([byte]))
                sent += 1
                time.sleep(0.005)
        except ConnectionError:
            pass
    assert sent < 10_000, "it went on listening"


def test_a_connection_on_which_nothing_is_said_is_closed(served: Serve) -> None:
    with served(read_timeout_s=0.2).connect() as own:
        assert b"HTTP/1.1 2" not in read_to_end(own)


def one_response(own: socket.socket) -> bytes:
    """A response whose body is an object of JSON; its head may come before it."""
    data = b""
    while not data.endswith(b"}") and (chunk := own.recv(65536)):
        data += chunk
    return data


@pytest.mark.slow
def test_the_time_for_a_head_begins_again_with_each_request(served: Serve) -> None:
    one = served(read_timeout_s=0.5)
    with one.connect() as own:
        for _ in range(4):
            own.sendall(request("/health"))
            assert one_response(own).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.2)
        time.sleep(0.6)  # between two requests it is the keep-alive that counts
        own.sendall(request("/health"))
        assert one_response(own).startswith(b"HTTP/1.1 200 ")
        own.sendall(b"GET /hea")
        assert b"HTTP/1.1 200" not in read_to_end(own)


def test_a_client_that_takes_nothing_is_dropped_and_its_place_is_free(served: Serve) -> None:
    def written(messages: Sequence[Message]) -> str:
        return "word " * 300_000 if "long" in messages[-1]["content"] else "2"

    backend = ScriptedBackend(written, n_ctx=10**8)
    one = served(backend, write_timeout_s=0.5)
    asked = request(PATH, _json(stream=True, question="long"))
    with one.connect(receive_bytes=4096) as own, one.client() as client:
        own.sendall(asked)
        assert own.recv(10)
        until(lambda: backend.running == 1)
        assert client.post(PATH, json=body()).status_code == 200, "others go on"
        until(lambda: backend.running == 0, "its slot is free")
        until(lambda: one.state.places.idle("scripted"))


def test_a_client_of_one_byte_at_a_time_is_dropped(served: Serve) -> None:
    backend = ScriptedBackend("word " * 300_000, n_ctx=10**8)
    one = served(backend, write_timeout_s=0.5)
    with one.connect(receive_bytes=4096) as own:
        own.sendall(request(PATH, _json(stream=True)))
        assert own.recv(1)
        until(lambda: backend.running == 1)

        def read_one() -> bool:
            try:
                own.recv(1)
            except ConnectionError:
                return True
            return backend.running == 0

        until(read_one, "it was dropped")
        until(lambda: one.state.places.idle("scripted"))


@pytest.mark.slow
def test_a_slow_client_that_reads_all_gets_all(served: Serve) -> None:
    backend = ScriptedBackend(ScriptedReply(answer=["word "] * 40_000), n_ctx=10**8)
    one = served(backend, write_timeout_s=30)
    with one.connect(receive_bytes=4096) as own:
        own.sendall(request(PATH, _json(stream=True), Connection="close"))
        answer = b""
        while chunk := own.recv(20_000):
            answer += chunk
            time.sleep(0.0005)
    assert answer.count(b"AnswerDelta") == 40_000
    assert b"end\n" in answer


def _json(**asked: Any) -> bytes:
    return json.dumps(body(**asked, changes={"max_tokens": 10**8})).encode()
