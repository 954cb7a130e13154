"""What a call runs on a model: one reply, several, or a vote, read as one source of pieces.

All of it is synchronous: the thread that steps the model reads it, see `minireason.aio`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from minireason.backends.base import Backend, ReplyStream, StreamOptions
from minireason.backends.capabilities import CompletesText, KnowsLogprobs, KnowsWhenReady
from minireason.errors import BadSetting, UsageError
from minireason.events import Done, Event
from minireason.server import limits
from minireason.server.share import share_of
from minireason.settings import MAX_SEED, Changes, SolveChanges, VoteSettings
from minireason.voting.solution import SolveEvent
from minireason.voting.solve import SolveStream
from minireason.wire.call import Call, Outcome
from minireason.wire.logprobs import Scorer


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

    @property
    def ready(self) -> bool:
        """Whether `poll` would give something, or the end, without a step of the model."""
        ...

    def finish_thinking(self) -> bool:
        """End every thought now; False if none is under way. From any thread, as `cancel`."""
        ...

    def cancel(self) -> None:
        """Ask that all end here, with what there is."""
        ...

    def close(self) -> None:
        """End all, and free the places."""
        ...


class Choices:
    """Independent replies to one prompt (`n`)."""

    def __init__(self, backend: Backend, call: Call, options: StreamOptions) -> None:
        self._clamped: int | None = None
        self._streams: list[ReplyStream] = []
        options = replace(options, logprobs=call.logprobs, watch_confidence=call.confidences)
        try:
            for number in range(call.choices):
                self._streams.append(self._open(backend, call, number, options))
            self._scorers = [] if call.logprobs is None else list(map(_scorer, self._streams))
        except BaseException:
            self.close()
            raise
        self._watched = self._streams if call.confidences else []
        self._unread = deque(range(call.choices))

    def _open(
        self, backend: Backend, call: Call, number: int, options: StreamOptions
    ) -> ReplyStream:
        changes = Changes(**call.changes)
        if (seed := changes.get("seed")) is not None:
            changes["seed"] = (seed + number) % (MAX_SEED + 1)
        if self._clamped is not None:
            changes["thinking_budget"] = self._clamped
        try:
            return _open(backend, call, changes, options)
        except BadSetting as error:
            self._clamped = _lower_budget(error, changes.get("thinking_budget"))
            return self._open(backend, call, number, options)

    @property
    def ended(self) -> bool:
        """See `Replies.ended`."""
        return all(stream.ended for stream in self._streams)

    @property
    def outcome(self) -> Outcome:
        """See `Replies.outcome`."""
        replies = tuple(stream.reply for stream in self._streams)
        logprobs = tuple(scorer.told for scorer in self._scorers)
        confidences = tuple(tuple(stream.confidences) for stream in self._watched)
        return Outcome(
            replies, clamped_budget=self._clamped, logprobs=logprobs, confidences=confidences
        )

    @property
    def ready(self) -> bool:
        """See `Replies.ready`."""
        return not self._unread or any(_ready(self._streams[index]) for index in self._unread)

    def poll(self) -> list[Piece]:
        """See `Replies.poll`; where none has anything, the next one steps the model for all."""
        pieces = []
        if not self.ready:
            self._unread.rotate(-1)
            pieces = self._poll(self._unread[0])
        waiting = [index for index in self._unread if _ready(self._streams[index])]
        return pieces + [piece for index in waiting for piece in self._poll(index)]

    def _poll(self, index: int) -> list[Piece]:
        events = self._streams[index].poll()
        if any(isinstance(event, Done) for event in events):
            self._unread.remove(index)
        told = self._scorers[index].scored(events) if self._scorers else events
        return [Piece(index, event) for event in told]

    def finish_thinking(self) -> bool:
        """See `Replies.finish_thinking`."""
        return sum(stream.finish_thinking() for stream in self._streams) > 0  # all of them

    def cancel(self) -> None:
        """See `Replies.cancel`."""
        for stream in self._streams:
            stream.cancel()

    def close(self) -> None:
        """See `Replies.close`."""
        for stream in self._streams:
            stream.close()


class Vote:
    """Chains that vote on one answer; they take half of the places, so that others get in."""

    def __init__(self, backend: Backend, call: Call, options: StreamOptions) -> None:
        self._clamped: int | None = None
        self._backend = backend  # which its share does not keep
        self._stream = self._open(share_of(backend), call, options)

    def _open(self, backend: Backend, call: Call, options: StreamOptions) -> SolveStream:
        given: Any = {**call.changes, **(call.vote or {})}
        if self._clamped is not None:
            given["thinking_budget"] = self._clamped
        try:
            return SolveStream(
                backend,
                list(call.messages),
                cast("SolveChanges", given),
                cache_scope=options.cache_scope,
            )
        except BadSetting as error:
            self._clamped = _lower_budget(error, given.get("thinking_budget"))
            return self._open(backend, call, options)

    @property
    def ended(self) -> bool:
        """See `Replies.ended`."""
        return self._stream.ended

    @property
    def outcome(self) -> Outcome:
        """See `Replies.outcome`."""
        return Outcome(solution=self._stream.solution, clamped_budget=self._clamped)

    @property
    def ready(self) -> bool:
        """See `Replies.ready`."""
        return self._stream.ready

    def poll(self) -> list[Piece]:
        """See `Replies.poll`."""
        return [Piece(0, event) for event in self._stream.poll()]

    def finish_thinking(self) -> bool:
        """See `Replies.finish_thinking`: the thoughts of a vote are not ended one by one."""
        return False

    def cancel(self) -> None:
        """See `Replies.cancel`."""
        self._stream.cancel()

    def close(self) -> None:
        """See `Replies.close`."""
        self._stream.close()


def places_of(call: Call, of: int) -> int:
    """How many of so many places a call takes: a vote half of them at most, see `share`."""
    if call.vote is None:
        return min(call.choices, of)
    half, parallel = max(1, of // 2), call.vote.get("parallel", "auto")
    chains = call.vote.get("samples", VoteSettings().samples)
    return min(half, chains, half if parallel == "auto" else parallel)


def _ready(stream: ReplyStream) -> bool:
    """Whether polling it costs no step; one that has ended has nothing more to give."""
    if isinstance(stream, KnowsWhenReady):
        return stream.ready
    return False


def open_replies(backend: Backend, call: Call, options: StreamOptions) -> Replies:
    """Start what a call asks for; raises BadSetting, UsageError, ContextFull or EngineError."""
    limits.check(call.changes)
    if call.vote is not None:
        return Vote(backend, call, options)
    return Choices(backend, call, options)


def _lower_budget(error: BadSetting, asked: int | None) -> int:
    """A smaller budget of thinking to try; raises the error where that is not what is wrong."""
    if error.name != "thinking_budget" or error.most is None or not asked:
        raise error
    return max(0, min(error.most, asked - 1))


def _open(backend: Backend, call: Call, changes: Changes, options: StreamOptions) -> ReplyStream:
    if call.prompt is None:
        return backend.stream(call.messages, backend.defaults.changed(changes), options)
    if not isinstance(backend, CompletesText):
        raise UsageError(f"{backend.name} takes no raw prompts; ask it a question.")
    settings = backend.defaults.changed({**changes, "thinking": False})
    return backend.complete(call.prompt, settings, options, parse_special=call.parse_special)


def _scorer(stream: ReplyStream) -> Scorer:
    if not isinstance(stream, KnowsLogprobs):
        raise BadSetting("logprobs", True, "this model tells none; leave it out")
    return Scorer(stream)
