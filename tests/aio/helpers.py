"""What tests of the async face share."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterable

import anyio
import pytest

from minireason import Done, Event, Reasoner
from minireason.engine.base import Batch
from tests.local import local

PATIENCE_S = 30.0


def told(events: Iterable[Event]) -> list[object]:
    """What events say, without times."""
    said: list[object] = []
    for event in events:
        if isinstance(event, Done):
            reply, usage = event.reply, event.reply.usage
            said.append((reply.thinking, reply.answer, reply.finish_reason))
            said.append((usage.prompt_tokens, usage.thinking_tokens, usage.answer_tokens))
        else:
            said.append(event)
    return said


async def eventually(what: Callable[[], bool]) -> None:
    """Return once something is so, which another thread brings about."""
    with anyio.fail_after(PATIENCE_S):
        while not what():
            await anyio.sleep(0.002)


def soon(what: Callable[[], bool]) -> bool:
    """Whether something becomes so; the same without an event loop."""
    until = time.monotonic() + PATIENCE_S
    while not what() and time.monotonic() < until:
        time.sleep(0.002)
    return what()


async def at_once(*acts: Callable[[], Awaitable[object]]) -> None:
    """Call these at the same time, and wait for all."""

    async def call(act: Callable[[], Awaitable[object]]) -> None:
        await act()

    async with anyio.create_task_group() as group:
        for act in acts:
            group.start_soon(call, act)


class Gate:
    """Lets the decodes of a model run only as they are allowed."""

    def __init__(self, reasoner: Reasoner, monkeypatch: pytest.MonkeyPatch) -> None:
        context = local(reasoner).context
        decode, self._allowed = context.decode, threading.Semaphore(0)
        self._left, self._waiting = 0, False

        def decode_when_allowed(batch: Batch) -> bool:
            self._waiting = True
            assert self._allowed.acquire(timeout=PATIENCE_S)
            self._left -= 1
            self._waiting = False
            return decode(batch)

        monkeypatch.setattr(context, "decode", decode_when_allowed)

    @property
    def closed(self) -> bool:
        """Whether a decode waits, and none is allowed."""
        return self._waiting and not self._left

    def allow(self, decodes: int) -> None:
        """Let so many more run."""
        self._left += decodes
        self._allowed.release(decodes)


def threads() -> set[threading.Thread]:
    """The threads of drivers."""
    return {each for each in threading.enumerate() if each.name == "minireason-async"}
