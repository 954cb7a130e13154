"""What the driver reads: a `Source`. Streams, votes and turns of conversations are some.

To have the driver read something of your own, write a class with these four and hand what makes one
to `AsyncReasoner.open`.
"""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from minireason.events import Event, Reply

E = TypeVar("E")


class Source(Protocol[E]):
    """Events that come when they are asked for.

    One thread polls and closes it. A source that is a `KnowsWhenReady` is only polled where that
    costs no step of the model, or where no other one has anything to give: so the events of one
    step reach all tasks at once.
    """

    def poll(self) -> list[E]:
        """See `ReplyStream.poll`; an error is raised to the one task that reads this source."""
        ...

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more but what `poll` gives until it gives nothing."""
        ...

    def close(self) -> None:
        """End it and free what it holds; twice is as good as once."""
        ...


@runtime_checkable
class Cancels(Protocol):
    """A source may do this as well."""

    def cancel(self) -> None:
        """Ask from any thread that it end soon; it waits for nothing."""
        ...


class ReplySource(Source[Event], Cancels, Protocol):
    """The source of one reply: what a `ReplyStream` and a `TurnStream` have in common."""

    @property
    def tokens(self) -> int:
        """See `ReplyStream.tokens`."""
        ...

    @property
    def thinking_tokens(self) -> int:
        """See `ReplyStream.thinking_tokens`."""
        ...

    @property
    def reply(self) -> Reply:
        """See `ReplyStream.reply`."""
        ...

    def finish_thinking(self) -> bool:
        """See `ReplyStream.finish_thinking`."""
        ...
