"""Batches over a server that loses replies in the middle: asked for again, they come once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minireason import Message, Reasoner, Reply, ServerError, Settings
from minireason.backends.remote.faults import BUSY
from minireason.batch.jobs import Item, Job
from minireason.batch.worker import Server, Wanted, Worker
from tests.backends.remote.conftest import connected, misbehaving
from tests.backends.remote.misbehaving import DONE, Answer, Misbehaving, chunk, refused, reply
from tests.batch.helpers import read, run, write

__all__ = ["connected", "misbehaving"]

Connect = Callable[..., Reasoner]
Make = Callable[..., Misbehaving]
ITEMS: list[object] = [{"id": number, "question": f"What is {number}?"} for number in range(12)]


def losing(times: dict[str, int]) -> Callable[[dict[str, Any]], Answer]:
    """Answers with the question, after so many losses of a question in the middle of its answer."""
    asked: Counter[str] = Counter()

    def answer(body: dict[str, Any]) -> Answer:
        question = body["messages"][-1]["content"]
        asked[question] += 1
        said = [chunk(content="To "), chunk(content=question)]
        return reply(*said) if asked[question] > times.get(question, 0) else Answer(said)

    return answer


@pytest.mark.parametrize("in_order", [False, True])
def test_what_is_lost_in_the_middle_is_asked_for_again(
    tmp_path: Path, misbehaving: Make, connected: Connect, in_order: bool
) -> None:
    script = losing({"What is 0?": 4, "What is 5?": 1, "What is 11?": 2})
    reasoner = connected(misbehaving(*[script] * 40).url)
    out = tmp_path / "out.jsonl"
    assert run(write(tmp_path / "in.jsonl", ITEMS), out, reasoner.backend, in_order=in_order) == {}
    replies = {line["id"]: line["reply"]["answer"] for line in read(out)}  # type: ignore[index]
    assert len(read(out)) == len(replies) == 12
    assert all(answer == f"To What is {number}?" for number, answer in replies.items())
    assert not in_order or list(replies) == list(range(12))


def test_what_is_lost_too_often_is_left_out(
    tmp_path: Path, misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(*[losing({"What is 3?": 99})] * 40)
    out = tmp_path / "out.jsonl"
    left_out = run(write(tmp_path / "in.jsonl", ITEMS), out, connected(server.url).backend)
    assert list(left_out) == [4]
    assert "lost in the middle" in left_out[4]
    assert sorted(int(str(line["id"])) for line in read(out)) == [0, 1, 2, *range(4, 12)]
    asked = [body["messages"][-1]["content"] for body in server.bodies]
    assert asked.count("What is 3?") == 5


def asking(server: Misbehaving, parallel: int) -> Worker:
    """A worker of a cluster that asks this server."""
    there = Server(server.url, None, f"m at {server.url}")
    worker = Worker(Wanted("m", "", {}, Settings(), parallel, 0, there))
    assert worker.load([job(1)]) == parallel
    return worker


def job(number: int) -> Job:
    message = Message(role="user", content=f"What is {number}?")
    return Job(Item(number, number, (message,), Settings()), 0, Settings())


@pytest.mark.parametrize("times", [4, 5])
def test_a_worker_asks_again_too(misbehaving: Make, lived_in: Path, times: int) -> None:
    worker = asking(misbehaving(*[losing({"What is 1?": times})] * 10), 2)
    outcome = worker.answer(job(1))
    assert outcome.lost == (times == 5)
    assert isinstance(outcome.result, ServerError if outcome.lost else Reply)
    assert outcome.tokens >= 2 * times  # of what was lost too


class Crowded:
    """A server with two places, whose first replies end once the others were refused for good."""

    def __init__(self, status: int) -> None:
        self.status, self.lock = status, threading.Lock()
        self.taken = self.refused = 0
        self.most = threading.Event()

    def __call__(self, body: dict[str, Any]) -> Answer:
        with self.lock:
            if self.taken == 2:
                self.refused += 1
                if self.refused == 30:  # six requests, five tries each
                    self.most.set()
                return refused(self.status, Retry_After="0")
            self.taken += 1
        return Answer(self.parts(body["messages"][-1]["content"]))

    def parts(self, question: str) -> Iterator[bytes]:
        yield chunk(content=f"To {question}")
        self.most.wait(30)
        with self.lock:
            self.taken -= 1
        yield chunk(finish="stop")
        yield DONE


@pytest.mark.parametrize("status", sorted(BUSY))
def test_a_server_that_is_busy_with_the_run_itself_is_asked_for_less(
    tmp_path: Path, misbehaving: Make, connected: Connect, status: int
) -> None:
    crowded = Crowded(status)
    backend = connected(misbehaving(*[crowded] * 2000).url).backend
    out = tmp_path / "out.jsonl"
    assert run(write(tmp_path / "in.jsonl", ITEMS), out, backend, parallel=8) == {}
    assert crowded.refused >= 30
    answers = {line["reply"]["answer"] for line in read(out)}  # type: ignore[index]
    assert answers == {f"To What is {number}?" for number in range(12)}
    assert len(read(out)) == 12


def test_a_worker_waits_for_a_server_that_is_busy_with_its_own(
    misbehaving: Make, lived_in: Path
) -> None:
    worker = asking(misbehaving(*[Crowded(503)] * 2000), 8)
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(worker.answer, map(job, range(12))))
    replies = [outcome.result for outcome in outcomes]
    answers = [reply.answer for reply in replies if isinstance(reply, Reply)]
    assert answers == [f"To What is {number}?" for number in range(12)]


def test_a_worker_tells_of_a_server_that_is_busy_with_others(
    misbehaving: Make, lived_in: Path
) -> None:
    worker = asking(misbehaving(*[refused(503, Retry_After="0")] * 200), 2)
    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(worker.answer, map(job, range(2))))
    assert all(isinstance(outcome.result, ServerError) for outcome in outcomes)


def test_a_server_that_is_gone_ends_the_run(
    tmp_path: Path, misbehaving: Make, connected: Connect
) -> None:
    server = misbehaving(*[refused(503, Retry_After="0")] * 200)
    source = write(tmp_path / "in.jsonl", ITEMS)
    with pytest.raises(ServerError, match="status 503"):
        run(source, tmp_path / "out.jsonl", connected(server.url).backend)
