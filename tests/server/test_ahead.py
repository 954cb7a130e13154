"""What an idle model reads, and how it makes way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from minireason import Reasoner
from minireason.aio import AsyncReasoner
from minireason.messages import Message
from minireason.server.ahead import IdleReader
from minireason.testing import ScriptedBackend


class Reading(ScriptedBackend):
    """Reads until it is let go, or stopped; notes what it did."""

    def __init__(self, name: str = "m") -> None:
        super().__init__("", name=name)
        self.began: list[str] = []
        self.ended: list[str] = []
        self.scopes: list[str] = []
        self.go_on = threading.Event()
        self.reading = threading.Event()

    def prefill(
        self, messages: Sequence[Message], stopped: Callable[[], bool], *, cache_scope: str = ""
    ) -> int:
        name = messages[0]["content"]
        self.began.append(name)
        self.scopes.append(cache_scope)
        self.reading.set()
        while not (stopped() or self.go_on.wait(0.005)):
            pass
        self.ended.append(f"{name}{' stopped' if stopped() else ''}")
        self.reading.clear()
        return 0


def said(*texts: str) -> list[Message]:
    return [Message(role="user", content=text) for text in texts]


async def until(so: Callable[[], object]) -> None:
    with anyio.fail_after(60):
        while not so():
            await anyio.sleep(0.005)


def run(test: Callable[[IdleReader, Reading, set[str]], Any]) -> None:
    """Run a test beside the reader; models are busy whose names are in the set."""

    async def main() -> None:
        busy: set[str] = set()
        reader = IdleReader(lambda model: model not in busy)
        backend = Reading()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.run)
            try:
                await test(reader, backend, busy)
            finally:
                reader.close()
                tasks.cancel_scope.cancel()

    anyio.run(main)


def asynchronous(backend: ScriptedBackend) -> AsyncReasoner:
    return AsyncReasoner(Reasoner(backend))


def test_an_idle_model_reads_in_the_scope_of_the_key() -> None:
    async def test(reader: IdleReader, backend: Reading, _busy: set[str]) -> None:
        backend.go_on.set()
        reader.note(asynchronous(backend), said("a"), "key1")
        await until(lambda: backend.ended == ["a"])
        assert backend.scopes == ["key1"]

    run(test)


def test_a_busy_model_reads_once_it_is_idle_the_newest_first() -> None:
    async def test(reader: IdleReader, backend: Reading, busy: set[str]) -> None:
        backend.go_on.set()
        busy.add("m")
        model = asynchronous(backend)
        reader.note(model, said("a"), "")
        reader.note(model, said("b"), "")
        await anyio.sleep(0.05)
        assert backend.began == []
        busy.clear()
        reader.resume("m")
        await until(lambda: backend.ended == ["b", "a"])

    run(test)


def test_a_later_turn_takes_the_place_of_an_earlier_one() -> None:
    async def test(reader: IdleReader, backend: Reading, busy: set[str]) -> None:
        backend.go_on.set()
        busy.add("m")
        model = asynchronous(backend)
        reader.note(model, said("a"), "")
        reader.note(model, said("a", "then"), "")
        reader.note(model, said("a"), "other key")
        busy.clear()
        reader.resume("m")
        await until(lambda: len(backend.ended) == 2)
        await anyio.sleep(0.05)
        assert backend.scopes == ["other key", ""]

    run(test)


def test_who_is_interrupted_goes_on_later() -> None:
    async def test(reader: IdleReader, backend: Reading, busy: set[str]) -> None:
        reader.note(asynchronous(backend), said("a"), "")
        await until(backend.reading.is_set)
        busy.add("m")
        reader.interrupt("another model")
        assert backend.ended == []
        reader.interrupt("m")
        await until(lambda: backend.ended == ["a stopped"])
        backend.go_on.set()
        busy.clear()
        reader.resume("m")
        await until(lambda: backend.ended == ["a stopped", "a"])

    run(test)


def test_a_model_to_be_unloaded_is_left_for_good() -> None:
    async def test(reader: IdleReader, backend: Reading, _busy: set[str]) -> None:
        other = Reading("other")
        reader.note(asynchronous(other), said("b"), "")
        await until(other.reading.is_set)
        reader.note(asynchronous(backend), said("a"), "")
        await reader.forget("other")
        assert other.ended == ["b stopped"], "its thread is out"
        await until(backend.reading.is_set)
        assert other.began == ["b"]

    run(test)


def test_a_model_alone_is_left_for_good() -> None:
    async def test(reader: IdleReader, backend: Reading, _busy: set[str]) -> None:
        reader.note(asynchronous(backend), said("a"), "")
        await until(backend.reading.is_set)
        with anyio.fail_after(60):
            await reader.forget("m")
        assert backend.began == ["a"]
        assert backend.ended == ["a stopped"]

    run(test)


def test_at_the_end_it_stops() -> None:
    backends: list[Reading] = []

    async def test(reader: IdleReader, backend: Reading, _busy: set[str]) -> None:
        reader.note(asynchronous(backend), said("a"), "")
        reader.note(asynchronous(backend), said("b"), "")
        await until(backend.reading.is_set)
        backends.append(backend)

    run(test)
    assert len(backends[0].ended) == 1
