"""Servers for tests: one for all that asks `tiny`, and as many of their own as a test wants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import minireason
from minireason import Reasoner
from minireason.settings import LoadChanges
from minireason.testing import ScriptedBackend
from tests.server.serving import Served

STOPPING = deque[Served]()
"""Servers that end while the next tests run: uvicorn takes a sixth of a second for it."""


@pytest.fixture(scope="session")
def server(lived_in: object) -> Iterator[Served]:
    """A server of the built-in model, for the whole run."""
    served = Served([minireason.load("tiny", n_threads=1)])
    yield served
    served.stop()


@pytest.fixture(scope="session")
def tiny_url(server: Served) -> str:
    """Where that server is."""
    return server.url.rstrip("/")


@pytest.fixture(scope="session")
def smollm2_url(smollm2_path: Path) -> Iterator[str]:
    """Where a server of a model is that does not think."""
    load = LoadChanges(n_threads=1)
    served = Served([], models=(str(smollm2_path),), load=load)
    yield served.url.rstrip("/")
    served.stop()


@pytest.fixture
def anyio_backend() -> str:
    """Clients are asked from asyncio, as most programs do."""
    return "asyncio"


@pytest.fixture
def served() -> Iterator[Callable[..., Served]]:
    """Makes a server: of Reasoners and backends, or of a scripted one; settings as keywords."""
    made: list[Served] = []

    def serve(*models: Reasoner | ScriptedBackend, **settings: object) -> Served:
        reasoners = [
            model if isinstance(model, Reasoner) else Reasoner(model)
            for model in models or (ScriptedBackend("It is 2."),)
        ]
        made.append(Served(reasoners, **settings))
        return made[-1]

    yield serve
    for one in made:
        one.begin_to_stop()
        STOPPING.append(one)
    while len(STOPPING) > 10:
        STOPPING.popleft().wait()
