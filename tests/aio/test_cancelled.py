"""A task that is cancelled at any of its checkpoints leaves nothing in the scheduler."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import anyio
import pytest

from minireason import AsyncReasoner, Reasoner
from tests.aio.conftest import Run
from tests.aio.helpers import eventually
from tests.local import local

QUESTION = "What is 12 + 5?"
Act = Callable[[AsyncReasoner], Awaitable[object]]


@types.coroutine
def cancelled_at(
    work: Coroutine[Any, Any, object], checkpoint: int, cancel: Callable[[], None]
) -> Generator[Any, Any, bool]:
    """Await something, and cancel it where it waits for the so-many-th time.

    Whether it waited that often.
    """
    waits, sent, thrown = 0, None, None
    while True:
        try:
            awaited = work.send(sent) if thrown is None else work.throw(thrown)
        except StopIteration:
            return waits >= checkpoint
        waits += 1
        if waits == checkpoint:
            cancel()
        try:
            sent, thrown = (yield awaited), None
        except BaseException as error:
            thrown = error


async def ask(reasoner: AsyncReasoner) -> None:
    await reasoner.ask(QUESTION, max_tokens=12)


async def read(reasoner: AsyncReasoner) -> None:
    async with reasoner.stream(QUESTION, max_tokens=8) as stream:
        async for _ in stream:
            pass


async def solve(reasoner: AsyncReasoner) -> None:
    async with reasoner.solve_stream(QUESTION, samples=3, parallel=2, max_tokens=4) as votes:
        while await votes.next_events():
            pass


async def chat(reasoner: AsyncReasoner) -> None:
    async with reasoner.chat(max_tokens=4) as chat:
        await chat.send(QUESTION)
        async with chat.stream(QUESTION) as turn:
            await anext(turn)
        await chat.retry()


@pytest.mark.parametrize("act", [ask, read, solve, chat])
def test_at_any_checkpoint(run: Run, tiny: Reasoner, act: Act) -> None:
    scheduler = local(tiny).scheduler

    async def main() -> None:
        reasoner, checkpoint = AsyncReasoner(tiny), 0
        reached = True
        while reached:
            checkpoint += 1
            with anyio.CancelScope() as scope:
                reached = False
                work = act(reasoner)
                reached = await cancelled_at(work, checkpoint, scope.cancel)  # type: ignore
            reached = reached or scope.cancel_called
            # What was being opened is closed by the thread that opens it.
            await eventually(lambda: not scheduler.sequences)
        assert checkpoint > 3
        assert (await reasoner.ask(QUESTION, temperature=0)).boxed == "17"

    run(main)


def test_by_cancelling_the_task_itself_at_any_checkpoint(tiny: Reasoner) -> None:
    """As asyncio does, which knows no shields."""

    async def main() -> None:
        reasoner = AsyncReasoner(tiny)
        for checkpoint in range(1, 40):
            task = asyncio.current_task()
            assert task

            def cancel(task: asyncio.Task[Any] = task) -> None:
                task.get_loop().call_soon(task.cancel)

            try:
                await cancelled_at(read(reasoner), checkpoint, cancel)
                await asyncio.sleep(0.001)
            except asyncio.CancelledError:
                task.uncancel()
            await eventually(lambda: not local(tiny).scheduler.sequences)
        assert (await reasoner.ask(QUESTION, temperature=0)).boxed == "17"

    asyncio.run(main())
