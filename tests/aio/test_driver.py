"""The one thread: when it begins, sleeps and ends, and what that does to open streams."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from anyio import wait_all_tasks_blocked

import minireason
from minireason import AsyncReasoner, EngineError, Message, Reasoner, Settings
from minireason.aio.mailbox import FULL
from minireason.aio.streams import to_the_end
from minireason.backends.base import StreamOptions
from minireason.backends.scripted_stream import ScriptedStream
from minireason.testing import ScriptedBackend
from tests.aio.conftest import Run
from tests.aio.helpers import Gate, at_once, eventually, soon, threads
from tests.local import local

QUESTION = "What is 12 + 5?"


def endless() -> ScriptedBackend:
    return ScriptedBackend("word " * 100_000, n_ctx=1_000_000)


def test_it_begins_with_the_first_stream_and_is_joined_at_the_end(run: Run) -> None:
    before = threads()

    async def main() -> None:
        async with AsyncReasoner(Reasoner(ScriptedBackend("one two"))) as reasoner:
            assert await reasoner.count_tokens("Well?") == 2
            assert not threads() - before
            await reasoner.ask("Well?")
            assert len(threads() - before) == 1
            await reasoner.ask("Well?")
            assert len(threads() - before) == 1
        assert not threads() - before
        with pytest.raises(EngineError, match="closed"):
            await reasoner.ask("Well?")
        assert not threads() - before

    run(main)


class Counting(ScriptedBackend):
    """Counts how often its streams are polled."""

    polls = 0

    def stream(
        self, messages: Sequence[Message], settings: Settings, options: StreamOptions
    ) -> ScriptedStream:
        stream = super().stream(messages, settings, options)
        poll = stream.poll

        def counting() -> list[minireason.Event]:
            self.polls += 1
            return poll()

        stream.poll = counting  # type: ignore[method-assign]
        return stream


def test_it_sleeps_while_nobody_waits(run: Run) -> None:
    backend = Counting("word " * 1000)

    async def main() -> None:
        async with AsyncReasoner(Reasoner(backend)).stream("Well?") as stream:
            await eventually(lambda: stream.tokens == FULL)
            polls = backend.polls
            await anyio.sleep(0.05)
            assert backend.polls == polls
            for _ in range(10):
                await anext(stream)
            await eventually(lambda: stream.tokens > FULL)

    run(main)


def test_it_ends_when_nobody_has_it_any_more(run: Run) -> None:
    before, backend = threads(), endless()

    async def main() -> None:
        stream = AsyncReasoner(Reasoner(backend)).stream("Well?")
        async with stream:
            gc.collect()
            for _ in range(2 * FULL):  # the stream keeps what it needs
                await anext(stream)

    run(main)
    gc.collect()
    assert soon(lambda: not threads() - before)


def test_a_stream_that_is_dropped_is_closed(run: Run) -> None:
    backend = endless()
    reasoner = AsyncReasoner(Reasoner(backend))

    async def main() -> None:
        stream = reasoner.stream("Well?")
        await stream.__aenter__()
        await anext(stream)
        assert backend.running == 1

    run(main)
    gc.collect()
    assert soon(lambda: backend.running == 0)


def test_a_stream_whose_event_loop_has_ended_is_closed(run: Run) -> None:
    backend = endless()
    reasoner = AsyncReasoner(Reasoner(backend))
    left = []

    async def main() -> None:
        stream = reasoner.stream("Well?")
        left.append(stream)
        await stream.__aenter__()
        with anyio.move_on_after(0.05):
            while True:  # its task waits when the loop ends, or just before
                await stream.next_events()

    run(main)
    left.clear()
    gc.collect()
    assert soon(lambda: backend.running == 0)


def test_closing_the_reasoner_is_an_error_for_each_open_stream(run: Run) -> None:
    async def main() -> None:
        with minireason.load("tiny", n_threads=1) as tiny:
            reasoner, errors = AsyncReasoner(tiny), []
            opened = []

            async def read() -> None:
                async with reasoner.stream(QUESTION, min_thinking=1500) as stream:
                    opened.append(await anext(stream))
                    with pytest.raises(EngineError) as raised:
                        await to_the_end(stream)
                    errors.append(raised.value)

            async def close() -> None:
                await eventually(lambda: len(opened) == 3)
                await anyio.to_thread.run_sync(tiny.close)

            await at_once(read, read, read, close)
            assert len(errors) == 3
            with pytest.raises(EngineError):
                await reasoner.ask(QUESTION)

    run(main)


def test_aclose_is_an_error_for_each_open_stream(run: Run) -> None:
    async def main() -> None:
        backend = endless()
        reasoner, errors, opened = AsyncReasoner(Reasoner(backend)), [], []

        async def read() -> None:
            async with reasoner.stream("Well?") as stream:
                opened.append(await anext(stream))
                with pytest.raises(EngineError, match="while this stream was open") as raised:
                    await to_the_end(stream)
                errors.append(raised.value)

        async def close() -> None:
            await eventually(lambda: len(opened) == 2)
            await reasoner.aclose()
            assert backend.running == 0

        await at_once(read, read, close)
        assert len(errors) == 2

    run(main)


def test_a_task_that_is_cancelled_frees_its_slot_within_a_step(
    run: Run, tiny: Reasoner, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = local(tiny).scheduler

    async def main() -> None:
        reasoner, gate = AsyncReasoner(tiny), Gate(tiny, monkeypatch)
        read = anyio.Event()

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                async with reasoner.stream(QUESTION, temperature=0) as stream:
                    while True:
                        await stream.next_events()
                        read.set()

        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()
            group.start_soon(ask, scope)
            gate.allow(10)
            await read.wait()
            await eventually(lambda: gate.closed)
            before = scheduler.clock
            scope.cancel()
            await wait_all_tasks_blocked()
            gate.allow(1)  # the step that runs, and none after it
        assert scheduler.clock == before
        assert not scheduler.sequences

    run(main)


def test_two_event_loops_share_it(tiny: Reasoner) -> None:
    reasoner, before = AsyncReasoner(tiny), threads()
    alone = tiny.ask(QUESTION, temperature=0).answer
    answers: list[str] = []

    async def main() -> None:
        async def ask() -> None:
            answers.append((await reasoner.ask(QUESTION, temperature=0)).answer)

        await at_once(ask, ask, ask)

    loops = [
        threading.Thread(target=lambda backend=backend: anyio.run(main, backend=backend))
        for backend in ("asyncio", "trio")
    ]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
    assert answers == [alone] * 6
    assert len(threads() - before) == 1


def script(source: str, folder: Path) -> str:
    """What a program prints that ends by itself."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("left", ["idle", "in the middle"])
def test_the_end_of_python_waits_for_nothing(backend: str, left: str, tmp_path: Path) -> None:
    source = f"""
import anyio, minireason
reasoner = None
streams = []
async def main():
    global reasoner
    reasoner = await minireason.aload("tiny", n_threads=1)
    if {left == "idle"}:
        await reasoner.ask("What is 12 + 5?", max_tokens=5)
        return
    for number in range(3):
        streams.append(reasoner.stream("What is 12 * 34?"))
        await streams[-1].__aenter__()
        await streams[-1].next_events()
anyio.run(main, backend={backend!r})
print("done")
"""
    assert script(source, tmp_path) == "done\n"


@pytest.mark.skipif("not hasattr(os, 'fork')", reason="Windows has no fork")
def test_a_process_that_was_forked_goes_on_with_streams_of_its_own(tmp_path: Path) -> None:
    source = """
import os, sys, anyio, warnings
warnings.simplefilter("ignore")  # of forking beside threads
from minireason import AsyncReasoner, EngineError, Reasoner
from minireason.testing import ScriptedBackend
reasoner = AsyncReasoner(Reasoner(ScriptedBackend("word " * 1000)))
stream = reasoner.stream("Well?")
async def begin():
    await stream.__aenter__()
    await anext(stream)
async def child():
    try:
        while await stream.next_events():
            pass
    except EngineError as error:
        print("forked" in str(error), flush=True)
    print((await reasoner.ask("Well?", max_tokens=2)).answer, flush=True)
    await reasoner.aclose()
anyio.run(begin)
if os.fork() == 0:
    anyio.run(child)
    sys.exit()
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    assert script(source, tmp_path) == "True\nword word\n0\n"
