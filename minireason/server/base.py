"""The seams of the server: what its parts ask of one another."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from minireason.aio import AsyncReasoner
from minireason.messages import Message
from minireason.server.settings import ServerSettings
from minireason.wire.call import Outcome


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that requests may name."""

    name: str
    thinks: bool
    n_ctx: int
    loaded: bool
    size_bytes: int
    created: int
    path: Path | None = None
    """Its (first) file, None where it has none."""


class Models(Protocol):
    """The models of the server, loaded when they are wanted; see `models.ModelPool`.

    `before_unload` is awaited with the name of a model, so that nobody reads ahead on it then.
    """

    before_unload: Callable[[str], Awaitable[None]]

    def use(self, name: str | None) -> AbstractAsyncContextManager[AsyncReasoner]:
        """A loaded model, which stays loaded within the block; None: the one that is the default.

        Raises ApiError 404 with the command that installs it, or 503 where it does not fit beside
        what is in use.
        """
        ...

    def entries(self) -> list[ModelEntry]:
        """All that requests may name, the default first."""
        ...

    def loaded(self) -> list[str]:
        """The names of those in memory."""
        ...

    def stop(self) -> None:
        """Load nothing any more; a load that runs ends soon."""
        ...

    def keep(self, name: str | None, seconds: float | None) -> None:
        """Keep a loaded model for so long after its last request; None: for ever."""
        ...

    async def unload(self, name: str) -> None:
        """Give a model's memory back, once nobody uses it."""
        ...

    async def run(self) -> None:
        """Unload what nobody has used for long, until cancelled."""
        ...

    async def aclose(self) -> None:
        """Unload all."""
        ...


class Places(Protocol):
    """How many replies run at once on each model; see `places.FairPlaces`."""

    def take(
        self, model: str, of: int, owner: str, count: int = 1
    ) -> AbstractAsyncContextManager[None]:
        """Some of the `of` places of a model, in the order of asking.

        Raises ApiError 503 with `retry_after_s` where too many wait already, where it takes too
        long, and once the server stops.
        """
        ...

    def idle(self, model: str) -> bool:
        """Whether nothing runs or waits on a model."""
        ...

    def close(self) -> None:
        """Send away whoever waits, and whoever comes."""
        ...


class ReadAheads(Protocol):
    """What idle models do: read what was said, for the next turn; see `ahead.IdleReader`."""

    def note(self, reasoner: AsyncReasoner, messages: Sequence[Message], cache_scope: str) -> None:
        """Read these messages, once their model is idle."""
        ...

    def interrupt(self, model: str) -> None:
        """Stop reading on a model, which is wanted; later it goes on."""
        ...

    async def forget(self, model: str) -> None:
        """Stop reading on a model for good, and wait until its thread has left it."""
        ...

    async def run(self) -> None:
        """Read what was noted while models are idle, until cancelled."""
        ...

    def close(self) -> None:
        """Read nothing any more; what is being read ends soon."""
        ...


class Control(Protocol):
    """A reply that runs, for whoever wants to end its thought or all of it; from any thread."""

    def finish_thinking(self) -> bool:
        """End the thought now; False if none is under way."""
        ...

    def cancel(self) -> None:
        """Ask that it end here; what there is, is its reply."""
        ...


class Metrics(Protocol):
    """What `/metrics` counts; see `metrics.Counters`. Every method is quick and never fails."""

    def request(self, api: str, status: int, seconds: float) -> None:
        """A request has ended; `api` is the path of its route."""
        ...

    def first_token(self, model: str, seconds: float) -> None:
        """The first text of a reply has come, so long after its request."""
        ...

    def reply(self, model: str, outcome: Outcome) -> None:
        """What a request came to."""
        ...

    def text(self) -> tuple[bytes, str]:
        """All of it as Prometheus reads it, and the media type of that."""
        ...


@dataclass(slots=True)
class Server:
    """Everything that handlers share, as `request.app.state.server`.

    `running` has, by the owner of a request and the id of its reply, whose thought can be ended.
    Once the server is `stopping`, no request is let in any more.
    """

    settings: ServerSettings
    models: Models
    places: Places
    metrics: Metrics
    ahead: ReadAheads
    running: dict[tuple[str, str], Control] = field(default_factory=dict)
    stopping: bool = False

    def stop(self) -> None:
        """Let no request in any more, and send away those that wait."""
        self.stopping = True
        self.places.close()
        self.models.stop()

    def end_replies(self) -> None:
        """Let every reply that runs end with what there is of it."""
        for control in list(self.running.values()):
            control.cancel()
