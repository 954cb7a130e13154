"""Both event loops, for every test that asks for `run`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import pytest

DEADLINE_S = 60.0
"""After so long a test hangs."""

Run: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine function to its end, or fails where it hangs."""

    def run(main: Callable[[], Awaitable[None]]) -> None:
        async def in_time() -> None:
            with anyio.fail_after(DEADLINE_S):
                await main()

        anyio.run(in_time, backend=request.param)

    return run
