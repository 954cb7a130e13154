"""Servers for the remote backend: our own, and one that misbehaves as a test writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from minireason import Reasoner
from minireason.backends.remote import exchange
from minireason.backends.remote.backend import open_remote
from tests.backends.remote.misbehaving import Answer, Misbehaving, Script
from tests.server.conftest import anyio_backend, served, server, tiny_url

__all__ = ["anyio_backend", "served", "server", "tiny_url"]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Reasoner]]:
    """Connects to a URL, and closes at the end; waits shortly until a request is sent again."""
    monkeypatch.setattr(exchange, "FIRST_WAIT_S", 0.02)
    made: list[Reasoner] = []

    def connect(url: str, **options: object) -> Reasoner:
        made.append(Reasoner(open_remote(url, **options)))  # type: ignore[arg-type]
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def misbehaving() -> Iterator[Callable[..., Misbehaving]]:
    """Makes a server that answers by a script."""
    made: list[Misbehaving] = []

    def make(*answers: Answer | Script, **options: object) -> Misbehaving:
        made.append(Misbehaving(*answers, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.stop()
