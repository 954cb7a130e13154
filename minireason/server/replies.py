"""What a call runs on a model: one reply, several, or a vote, read as one source of pieces.

All of it is synchronous: the thread that steps the model reads it, see `minireason.aio`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

from minireason.backends.base import Backend, ReplyStream, StreamOptions
from minireason.errors import BadSetting
from minireason.events import Event
from minireason.server.call import Call, Outcome
from minireason.settings import MAX_SEED, Changes, Settings, SolveChanges
from minireason.voting.solution import SolveEvent
from minireason.voting.solve import SolveStream


@dataclass(frozen=True, slots=True)
class Piece:
    """An event of the choice number `index`."""

    index: int
    event: Event | SolveEvent


class Replies(Protocol):
    """What runs for a call."""

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more but what was not read yet."""
        ...

    @property
    def outcome(self) -> Outcome:
        """What it came to, once it has ended."""
        ...

    def poll(self) -> list[Piece]:
        """What is there after at most one step of the model."""
        ...

    def finish_thinking(self) -> bool:
        """End every thought now; False if none is under way."""
        ...

    def close(self) -> None:
        """End all, and free the places."""
        ...


class Choices:
    """Independent replies to one prompt (`n`)."""

    def __init__(self, backend: Backend, call: Call, options: StreamOptions) -> None:
        self._clamped: int | None = None
        self._streams: list[ReplyStream] = []
        try:
            for number in range(call.choices):
                self._streams.append(self._open(backend, call, number, options))
        except BaseException:
            self.close()
            raise

    def _open(
        self, backend: Backend, call: Call, number: int, options: StreamOptions
    ) -> ReplyStream:
        changes = Changes(**call.changes)
        if (seed := changes.get("seed")) is not None:
            changes["seed"] = (seed + number) % (MAX_SEED + 1)
        if self._clamped is not None:
            changes["thinking_budget"] = self._clamped
        try:
            return _open(backend, call, backend.defaults.changed(changes), options)
        except BadSetting as error:
            asked = changes.get("thinking_budget")
            if error.name != "thinking_budget" or error.most is None or not asked:
                raise
            self._clamped = max(0, min(error.most, asked - 1))
            return self._open(backend, call, number, options)

    @property
    def ended(self) -> bool:
        """See `Replies.ended`."""
        return all(stream.ended for stream in self._streams)

    @property
    def outcome(self) -> Outcome:
        """See `Replies.outcome`."""
        replies = tuple(stream.reply for stream in self._streams)
        return Outcome(replies, clamped_budget=self._clamped)

    def poll(self) -> list[Piece]:
        """See `Replies.poll`; the first that has to step the model steps it for all."""
        return [
            Piece(index, event)
            for index, stream in enumerate(self._streams)
            for event in stream.poll()
        ]

    def finish_thinking(self) -> bool:
        """See `Replies.finish_thinking`."""
        return any([stream.finish_thinking() for stream in self._streams])

    def close(self) -> None:
        """See `Replies.close`."""
        for stream in self._streams:
            stream.close()


class Vote:
    """Chains that vote on one answer."""

    def __init__(self, backend: Backend, call: Call) -> None:
        given: Any = {**call.changes, **(call.vote or {})}
        self._stream = SolveStream(backend, list(call.messages), cast("SolveChanges", given))

    @property
    def ended(self) -> bool:
        """See `Replies.ended`."""
        return self._stream.ended

    @property
    def outcome(self) -> Outcome:
        """See `Replies.outcome`."""
        return Outcome(solution=self._stream.solution)

    def poll(self) -> list[Piece]:
        """See `Replies.poll`."""
        return [Piece(0, event) for event in self._stream.poll()]

    def finish_thinking(self) -> bool:
        """See `Replies.finish_thinking`: the thoughts of a vote are not ended one by one."""
        return False

    def close(self) -> None:
        """See `Replies.close`."""
        self._stream.close()


def open_replies(backend: Backend, call: Call, options: StreamOptions) -> Replies:
    """Start what a call asks for; raises BadSetting, UsageError, ContextFull or EngineError."""
    if call.vote is not None:
        return Vote(backend, call)
    return Choices(backend, call, options)


def _open(backend: Backend, call: Call, settings: Settings, options: StreamOptions) -> ReplyStream:
    if call.prompt is None:
        return backend.stream(call.messages, settings, options)
    raise NotImplementedError
