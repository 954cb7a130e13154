"""The seams of the server: what its parts ask of one another."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from minireason.aio import AsyncReasoner
from minireason.server.settings import ServerSettings


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that requests may name."""

    name: str
    thinks: bool
    n_ctx: int
    loaded: bool
    size_bytes: int
    created: int


class Models(Protocol):
    """The models of the server, loaded when they are wanted; see `models.ModelPool`."""

    def use(self, name: str | None) -> AbstractAsyncContextManager[AsyncReasoner]:
        """A loaded model, which stays loaded within the block; None: the one that is the default.

        Raises ApiError 404 with the command that installs it, or 503 where it does not fit beside
        what is in use.
        """
        ...

    def entries(self) -> list[ModelEntry]:
        """All that requests may name, the default first."""
        ...

    async def unload(self, name: str) -> None:
        """Give a model's memory back, once nobody uses it."""
        ...

    async def aclose(self) -> None:
        """Unload all."""
        ...


class Places(Protocol):
    """How many requests run at once; see `places.FairPlaces`."""

    def take(self, owner: str, count: int = 1) -> AbstractAsyncContextManager[None]:
        """A place, in the order of asking; raises ApiError 503 with `retry_after_s`.

        That is where too many wait already, or where it takes too long.
        """
        ...


class Control(Protocol):
    """Whose thought can be ended."""

    def finish_thinking(self) -> bool:
        """End the thought now; False if none is under way."""
        ...


class Metrics(Protocol):
    """What `/metrics` counts; see `metrics.Counters`. Every method is quick and never fails."""

    def started(self, api: str, model: str) -> None: ...

    def first_token(self, model: str, seconds: float) -> None: ...

    def ended(self, api: str, model: str, status: int, seconds: float) -> None: ...

    def reply(self, model: str, outcome: object) -> None: ...


@dataclass(slots=True)
class Server:
    """Everything that handlers share, as `request.app.state.server`.

    `running` has, by the id of a reply and the owner of its request, whose thought can be ended.
    """

    settings: ServerSettings
    models: Models
    places: Places
    metrics: Metrics
    running: dict[tuple[str, str], Control]
