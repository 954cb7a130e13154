"""One call from its place in the line to its last byte, over a real connection."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

import minireason
from minireason.errors import EngineError
from minireason.messages import Message
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.local import local
from tests.server.plain import PATH, body
from tests.server.serving import Served, request, until

Serve = Callable[..., Served]


class Gate:
    """A backend whose replies go on while it is open: a script that waits in the middle."""

    def __init__(self, words: int = 50, **options: Any) -> None:
        self.open = threading.Event()
        self.backend = ScriptedBackend("word " * words, **options)
        stream = self.backend.stream

        def gated(*arguments: Any) -> Any:
            opened = stream(*arguments)
            poll = opened.poll

            def waiting() -> Any:
                if not self.open.is_set():
                    time.sleep(0.005)
                    return []
                return poll()

            opened.poll = waiting
            return opened

        self.backend.stream = gated


def post(one: Served, **asked: Any) -> httpx2.Response:
    with one.client() as client:
        return client.post(PATH, json=body(**asked))


def test_a_whole_reply(served: Serve) -> None:
    answer = post(served(), n=1)
    assert answer.json() == {
        "id": answer.json()["id"],
        "model": "scripted",
        "answers": ["It is 2."],
        "finish": ["stop"],
        "cached": [0],
    }
    assert answer.json()["id"].startswith("plain-")


def test_a_stream(served: Serve) -> None:
    written = ScriptedReply(thinking="1 and 1.", answer="It is 2.")
    answer = post(served(ScriptedBackend(written)), stream=True)
    lines = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["cache-control"] == "no-store"
    assert lines[0].startswith("begin plain-")
    assert [line.split()[1] for line in lines[1:7]] == ["ThinkingDelta"] * 3 + ["AnswerDelta"] * 3
    assert lines[-2:] == ["0 done stop", "end"]


@pytest.mark.parametrize("stream", [True, False])
def test_several_choices_of_one_prompt(served: Serve, stream: bool) -> None:
    backend = ScriptedBackend([f"answer {number}" for number in range(3)])
    answer = post(served(backend), n=3, stream=stream, changes={"seed": 7})
    assert [asked.settings.seed for asked in backend.requests] == [7, 8, 9]
    if stream:
        lines = answer.text.splitlines()
        for number in range(3):
            assert f"{number} AnswerDelta  {number}" in lines
            assert f"{number} done stop" in lines
        assert lines[-1] == "end"
    else:
        assert answer.json()["answers"] == ["answer 0", "answer 1", "answer 2"]


def test_choices_of_a_real_model_share_its_batches(server: Served) -> None:
    answer = post(server, n=3, changes={"temperature": 0.0}).json()
    assert answer["finish"] == ["stop"] * 3
    assert len(set(answer["answers"])) == 1


def test_a_vote(served: Serve) -> None:
    backend = ScriptedBackend("It is \\boxed{2}.")
    answer = post(served(backend), stream=True, vote={"samples": 3})
    assert answer.status_code == 200
    assert answer.text.splitlines()[-1] == "end"
    assert "Solved" in answer.text
    assert len(backend.requests) == 3 or "Decided" in answer.text


@pytest.mark.parametrize("stream", [True, False])
def test_a_mistake_in_a_request_is_told_before_anything_runs(served: Serve, stream: bool) -> None:
    answer = post(served(), stream=stream, changes={"temperature": -1.0})
    assert answer.status_code in (200, 400)
    assert "temperature" in answer.text


def test_a_prompt_that_is_too_long(served: Serve) -> None:
    answer = post(served(ScriptedBackend("2", n_ctx=100)), question="word " * 200)
    assert answer.status_code == 400
    assert "100" in answer.json()["error"]


def test_a_budget_that_is_too_large_is_clamped(served: Serve) -> None:
    """In Python it is refused; here the context decides."""
    answer = post(served(), changes={"thinking_budget": 100_000})
    assert answer.json()["answers"] == ["It is 2."]


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_fails_in_the_middle(
    served: Serve, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    failing = ScriptedReply(answer="It is", error=EngineError("The model is gone."))
    one = served(ScriptedBackend([failing, "2"]))
    answer = post(one, stream=stream)
    if stream:
        assert answer.status_code == 200
        assert answer.text.splitlines()[-1] == "error 500 The model is gone."
    else:
        assert answer.status_code == 500
        assert answer.json() == {"error": "The model is gone.", "model": "scripted"}
    assert answer.headers["x-request-id"] in caplog.text
    assert post(one).json()["answers"] == ["2"], "others go on"
    until(lambda: one.state.running == {})


@pytest.mark.parametrize("where", ["begin", "event", "end"])
def test_a_wire_that_fails_ends_its_own_stream(
    served: Serve, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend = ScriptedBackend("word " * 1000)
    one = served(backend)
    answer = post(one, stream=True, fails=where)
    assert answer.text.splitlines()[-1].startswith("error 500 The server made a mistake")
    assert f"the wire fails in {where}" in caplog.text
    until(lambda: backend.running == 0)
    assert post(one).status_code == 200


def test_a_wire_that_fails_for_good_breaks_the_connection(
    served: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """What is cut off must not look whole."""
    one = served(ScriptedBackend([ScriptedReply(answer="2", error=EngineError("Gone.")), "2"]))
    with pytest.raises(httpx2.RemoteProtocolError):
        post(one, stream=True, fails="fail")
    assert post(one).status_code == 200


def test_a_wire_that_cannot_write_the_whole(served: Serve) -> None:
    answer = post(served(), fails="whole")
    assert answer.status_code == 500
    assert "made a mistake" in answer.json()["error"]


def test_a_client_that_goes_away_frees_its_place(served: Serve) -> None:
    gate = Gate()
    one = served(gate.backend)
    for stream in (True, False):
        own = one.connect()
        own.sendall(request(PATH, json.dumps(body(stream=stream)).encode()))
        until(lambda: gate.backend.running == 1)
        own.close()
        until(lambda: gate.backend.running == 0)
        until(lambda: one.state.places.idle("scripted"))
        until(lambda: one.state.running == {})


def test_a_client_that_goes_away_frees_its_slot_within_a_step(server: Served) -> None:
    """A real model: after its client is gone, the engine makes at most one more step for it."""
    (model,) = server.pool.loaded()
    assert model == "tiny"
    asked = body("Count to one million.", stream=True, changes={"loop_check": False})
    for _ in range(3):
        with server.client() as client, client.stream("POST", PATH, json=asked) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("begin")
            next(lines)
        until(lambda: server.state.places.idle("tiny"))
        until(lambda: server.state.running == {})
    assert post(server).status_code == 200


def test_a_client_that_goes_away_while_it_waits_leaves_the_line(served: Serve) -> None:
    gate = Gate(max_parallel=1)
    one = served(gate.backend)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, one)
        until(lambda: gate.backend.running == 1)
        own = one.connect()
        own.sendall(request(PATH, json.dumps(body()).encode()))
        until(lambda: _waiting(one) == 1)
        own.close()
        until(lambda: _waiting(one) == 0)
        gate.open.set()
        assert first.result().status_code == 200
    assert len(gate.backend.requests) == 1, "the second never ran"


def _waiting(one: Served) -> int:
    text, _ = one.state.metrics.text()
    line = 'minireason_requests_waiting{model="scripted"} '
    return next(
        int(float(row.removeprefix(line)))
        for row in text.decode().splitlines()
        if row.startswith(line)
    )


def test_clients_that_come_and_go_at_any_moment(served: Serve) -> None:
    backend = ScriptedBackend("word " * 200, max_parallel=2)
    one = served(backend, max_waiting=100)
    asked = request(PATH, json.dumps(body(stream=True)).encode())

    def come_and_go(number: int) -> None:
        with one.connect() as own:
            cut = number % 3
            own.sendall(asked[: len(asked) - cut])
            for _ in range(0 if cut else number % 5):
                own.recv(number * 10 + 1)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(come_and_go, range(150)))
    until(lambda: one.state.places.idle("scripted"))
    until(lambda: backend.running == 0)
    until(lambda: one.state.running == {})
    assert post(one).json()["finish"] == ["stop"]


def test_a_silent_stream_is_kept_open(served: Serve) -> None:
    gate = Gate(words=1)
    one = served(gate.backend, ping_s=0.02)
    asked = body(stream=True)
    with one.client() as client, client.stream("POST", PATH, json=asked) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("begin")
        assert [next(lines) for _ in range(3)] == ["ping"] * 3
        gate.open.set()
        assert list(lines)[-1] == "end"


def test_more_than_may_wait_are_told_to_come_again(served: Serve) -> None:
    gate = Gate(max_parallel=1)
    one = served(gate.backend, max_waiting=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, one)
        until(lambda: gate.backend.running == 1)
        second = pool.submit(post, one)
        until(lambda: _waiting(one) == 1)
        refused = post(one)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        gate.open.set()
        assert [first.result().status_code, second.result().status_code] == [200, 200]


def test_waiting_for_a_place_ends_after_a_while(served: Serve) -> None:
    gate = Gate(max_parallel=1)
    one = served(gate.backend, max_wait_s=0.1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, one)
        until(lambda: gate.backend.running == 1)
        assert post(one).status_code == 503
        gate.open.set()
        assert first.result().status_code == 200


def test_a_prefix_is_shared_within_a_key_and_not_between_keys(served: Serve) -> None:
    one = served(minireason.load("tiny", n_threads=1), api_keys=("ann", "bob"))
    asked = body("What is 12 + 30? " * 4, changes={"temperature": 0.0})
    with one.client() as client:

        def cached(key: str) -> int:
            answer = client.post(PATH, json=asked, headers={"x-api-key": key})
            return int(answer.json()["cached"][0])

        assert cached("ann") == 0
        assert cached("bob") == 0, "as if nobody had asked"
        assert cached("ann") > 20
        assert cached("bob") > 20


def test_a_conversation_is_read_ahead_without_its_thought(served: Serve) -> None:
    backend = ScriptedBackend(ScriptedReply(thinking="Easy.", answer="It is 2."))
    one = served(backend)
    question: Message = {"role": "user", "content": "1 + 1?"}
    post(one, question="1 + 1?")
    until(lambda: backend.prefilled)
    assert backend.prefilled == [(question, {"role": "assistant", "content": "It is 2."})]


@pytest.mark.parametrize("asked", [{"n": 2}, {"vote": {"samples": 2}}])
def test_what_has_no_next_turn_is_not_read_ahead(served: Serve, asked: dict[str, Any]) -> None:
    backend = ScriptedBackend("It is 2.")
    one = served(backend)
    post(one, **asked)
    post(one, question="the last one")
    until(lambda: backend.prefilled)
    assert [messages[0]["content"] for messages in backend.prefilled] == ["the last one"]


def test_the_second_turn_of_a_real_conversation_finds_the_first(served: Serve) -> None:
    reasoner = minireason.load("tiny", n_threads=1)
    one = served(reasoner)
    first = post(one, question="What is 12 + 30?", changes={"temperature": 0.0}).json()
    said: Sequence[Message] = [
        {"role": "user", "content": "What is 12 + 30?"},
        {"role": "assistant", "content": first["answers"][0]},
    ]
    prompt = local(reasoner).encoder.prefix(said)
    until(lambda: local(reasoner).scheduler.cached([*prompt, 0]) == len(prompt))
    turns = [*said, {"role": "user", "content": "And 1 more?"}]
    second = post(one, messages=turns, changes={"temperature": 0.0}).json()
    assert second["cached"][0] >= len(prompt) - 1


def test_many_at_once_get_each_their_own(server: Served) -> None:
    def ask(number: int) -> tuple[int, str]:
        asked = post(server, question=f"What is {number} + 1?", changes={"temperature": 0.0})
        return number, asked.json()["answers"][0]

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(100, 124)))
    with_alone = [ask(number) for number in (100, 110, 123)]
    assert all(alone in answers for alone in with_alone)


def test_ids_are_in_the_log(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "minireason.server"):
        answer = post(server)
        until(lambda: answer.headers["x-request-id"] in caplog.text)
