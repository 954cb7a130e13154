"""What blocks is called in a thread, so that the event loop goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio.to_thread

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(call: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
    """The result of a call that may take long, made in a thread of its own."""
    return await anyio.to_thread.run_sync(lambda: call(*args, **keywords))
