"""A model of a server, awaited: the event loop goes on while the server says what it is."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import pytest

import minireason
from minireason import AsyncReasoner, EngineError, ServerError
from tests.aio.conftest import Run
from tests.aio.helpers import eventually
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, models, reply
from tests.server.serving import WAIT_S

MODELS = "/v1/models"


class Slow:
    """A server that lists its models once it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.server = Misbehaving(reply(chunk(content="Yes.")))
        self.server.pages[MODELS] = Answer(self._parts(), kind="application/json")

    def _parts(self) -> Iterator[bytes]:
        self.go.wait(WAIT_S)
        yield b"".join(part for part in models("m", owner="vllm").parts if isinstance(part, bytes))


@pytest.fixture
def slow() -> Iterator[Slow]:
    server = Slow()
    yield server
    server.go.set()
    server.server.stop()


def connections() -> set[threading.Thread]:
    """The threads of connections, of which those of earlier tests may be about to end."""
    return {each for each in threading.enumerate() if each.name == "minireason-remote"}


def test_the_event_loop_goes_on(run: Run, slow: Slow) -> None:
    made: list[AsyncReasoner] = []

    async def connect() -> None:
        made.append(await minireason.aconnect(slow.server.url, defaults={"temperature": 0}))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect)
            await eventually(lambda: MODELS in slow.server.paths)
            assert not made
            slow.go.set()
        async with made[0] as reasoner:
            assert (reasoner.name, reasoner.defaults.temperature) == ("m", 0)
            assert (await reasoner.ask("?")).answer == "Yes."
        with pytest.raises(EngineError):
            await reasoner.ask("?")

    run(main)


def test_nothing_stays_open_where_nobody_waits_any_more(run: Run, slow: Slow) -> None:
    before = connections()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(minireason.aconnect, slow.server.url)
            await eventually(lambda: MODELS in slow.server.paths)
            (opened,) = connections() - before
            tasks.cancel_scope.cancel()
        slow.go.set()
        await eventually(lambda: not opened.is_alive())

    run(main)


def test_errors_are_those_of_connect(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ServerError, match="is the server running"):
            await minireason.aconnect("http://127.0.0.1:1/v1")

    run(main)
