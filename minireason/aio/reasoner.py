"""aload() or aconnect() -> AsyncReasoner: what is asked of a model, awaited."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, Unpack, overload

import anyio
from anyio import to_thread

from minireason.aio.base import ReplySource, Source
from minireason.aio.driver import Driver
from minireason.aio.session import AsyncSession
from minireason.aio.streams import (
    AsyncEvents,
    AsyncSolveStream,
    AsyncStream,
    OnPrefill,
    to_the_end,
)
from minireason.backends.base import Backend
from minireason.checks import checked, function
from minireason.closing import AsyncClosing
from minireason.errors import UsageError, shown
from minireason.events import Reply
from minireason.messages import Message
from minireason.reasoner import Reasoner, connect, load
from minireason.settings import Changes, LoadChanges, Settings, SolveChanges
from minireason.voting.solution import Solution

E = TypeVar("E")


async def aload(
    model: str | Path,
    *,
    defaults: Changes | None = None,
    on_progress: Callable[[float], None] | None = None,
    **changes: Unpack[LoadChanges],
) -> AsyncReasoner:
    """Load a model in a worker thread; parameters and errors are those of `load`.

    `on_progress` is called in that thread. Where the task is cancelled, loading ends soon.
    """
    if on_progress is not None:
        checked("on_progress", on_progress, function)
    given_up = threading.Event()

    def progress(share: float) -> None:
        if given_up.is_set():
            raise InterruptedError("Nobody waits for this model any more.")
        if on_progress is not None:
            on_progress(share)

    return await _made(
        lambda: load(model, defaults=defaults, on_progress=progress, **changes), given_up
    )


async def aconnect(
    url: str,
    model: str | None = None,
    api_key: str | None = None,
    flavour: str = "auto",
    *,
    defaults: Changes | None = None,
) -> AsyncReasoner:
    """Connect in a worker thread; parameters and errors are those of `connect`.

    Where the task is cancelled, the connection is closed as soon as the server has answered.
    """
    return await _made(
        lambda: connect(url, model, api_key, flavour, defaults=defaults), threading.Event()
    )


async def _made(make: Callable[[], Reasoner], given_up: threading.Event) -> AsyncReasoner:
    """What a worker thread makes; `given_up` is set where the task is cancelled."""

    def work() -> Reasoner:
        reasoner = make()
        if given_up.is_set():
            reasoner.close()
        return reasoner

    try:
        return AsyncReasoner(await to_thread.run_sync(work, abandon_on_cancel=True))
    except BaseException:
        given_up.set()
        raise


class AsyncReasoner(AsyncClosing):
    """A `Reasoner` for tasks of asyncio or trio; `aload` and `aconnect` make one.

    One thread steps the model for all streams of it, wakes their tasks, and sleeps while nobody
    waits; an event loop waits for nothing. Tasks of several event loops may share one. Where it is
    made of a `Reasoner`, that may be used beside it from other threads; make one for each model. It
    may be dropped, which leaves the `Reasoner` as it is; `aclose` closes that too.
    """

    def __init__(self, reasoner: Reasoner) -> None:
        if not isinstance(reasoner, Reasoner):
            raise UsageError(
                f"An AsyncReasoner stands on a Reasoner, and not on {shown(reasoner)}; "
                f"minireason.aload() makes one of a model."
            )
        self.reasoner = reasoner
        self._driver = Driver()

    def __repr__(self) -> str:
        return f"<Async{repr(self.reasoner)[1:]}"

    @property
    def backend(self) -> Backend:
        """Where replies come from."""
        return self.reasoner.backend

    @property
    def name(self) -> str:
        """See `Reasoner.name`."""
        return self.reasoner.name

    @property
    def thinks(self) -> bool:
        """See `Reasoner.thinks`."""
        return self.reasoner.thinks

    @property
    def n_ctx(self) -> int:
        """See `Reasoner.n_ctx`."""
        return self.reasoner.n_ctx

    @property
    def defaults(self) -> Settings:
        """See `Reasoner.defaults`."""
        return self.reasoner.defaults

    def stream(
        self,
        question: str | Sequence[Message],
        *,
        on_prefill: OnPrefill | None = None,
        **changes: Unpack[Changes],
    ) -> AsyncStream:
        """Start a reply, with `async with`; all else as for `Reasoner.stream`.

        What that raises is raised where the block is entered. `on_prefill` is called by the task
        that reads the stream, with the newest numbers.
        """
        return AsyncStream(
            self._driver,
            lambda note: self.reasoner.stream(question, on_prefill=note, **changes),
            on_prefill,
        )

    async def ask(self, question: str | Sequence[Message], **changes: Unpack[Changes]) -> Reply:
        """See `Reasoner.ask`; the task is woken once, at the end."""
        stream = AsyncStream(
            self._driver, lambda _: self.reasoner.stream(question, **changes), only_end=True
        )
        async with stream:
            await to_the_end(stream)
            return stream.reply

    def solve_stream(
        self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]
    ) -> AsyncSolveStream:
        """Start a vote, with `async with`; all else as for `Reasoner.solve_stream`."""
        return AsyncSolveStream(
            self._driver, lambda _: self.reasoner.solve_stream(question, **changes)
        )

    async def solve(
        self, question: str | Sequence[Message], **changes: Unpack[SolveChanges]
    ) -> Solution:
        """See `Reasoner.solve`; the task is woken once, at the end."""
        stream = AsyncSolveStream(
            self._driver,
            lambda _: self.reasoner.solve_stream(question, **changes),
            only_end=True,
        )
        async with stream:
            await to_the_end(stream)
            return stream.solution

    @overload
    def open(self, make: Callable[[], ReplySource]) -> AsyncStream: ...

    @overload
    def open(self, make: Callable[[], Source[E]]) -> AsyncEvents[Any, E]: ...

    def open(self, make: Callable[[], Any]) -> AsyncEvents[Any, Any]:
        """Have the driver read what a function makes, with `async with`: for servers.

        The function is called in a worker thread, and gives a `ReplyStream` of `backend` or any
        other `aio.base.Source`. Functions of its `StreamOptions` are called in the driver's thread.
        """
        return AsyncStream(self._driver, lambda _: make())

    async def count_tokens(
        self, question: str | Sequence[Message], *, at_most: int | None = None
    ) -> int:
        """See `Reasoner.count_tokens`."""
        return await to_thread.run_sync(
            lambda: self.reasoner.count_tokens(question, at_most=at_most), abandon_on_cancel=True
        )

    async def prefill(
        self, messages: Sequence[Message], stopped: Callable[[], bool] = lambda: False
    ) -> int:
        """See `Reasoner.prefill`; `stopped` is called in a worker thread.

        Where the task is cancelled, it stops at the next slice.
        """
        checked("stopped", stopped, function)
        given_up = threading.Event()
        try:
            return await to_thread.run_sync(
                lambda: self.reasoner.prefill(messages, lambda: given_up.is_set() or stopped()),
                abandon_on_cancel=True,
            )
        finally:
            given_up.set()

    def chat(
        self, *, system: str | None = None, read_ahead: bool = False, **changes: Unpack[Changes]
    ) -> AsyncSession:
        """Start a conversation; see `Reasoner.chat`."""
        session = self.reasoner.chat(system=system, read_ahead=read_ahead, **changes)
        return AsyncSession(session, self._driver)

    async def aclose(self) -> None:
        """End the thread and close the `Reasoner`; streams that are open get an EngineError."""
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._close)

    def _close(self) -> None:
        self._driver.close()
        self.reasoner.close()
