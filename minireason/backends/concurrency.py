"""How many replies to run at a time: what memory holds, and what this machine gains from.

One step of a model costs almost the same for one sequence as for a few, so that throughput grows
with the batch, up to where the arithmetic and no longer the memory is what it waits for. Where that
is differs between machines and is measured: while the machine was idle (`backends.tuning`), or else
on the replies that are to run anyway, beginning with one at a time and doubling, so that no token
is generated only to measure. The longer the replies, the sooner more of them gain nothing, since
each attends to its own tokens.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from minireason.backends.base import Backend, ReplyStream
from minireason.backends.capabilities import KnowsStepCosts
from minireason.errors import ContextFull, UsageError
from minireason.messages import Message
from minireason.models.tuned import StepCosts
from minireason.settings import Settings

EXPECTED_REPLY_TOKENS = 8_192
"""What a reply is given room for. Where many become longer, the shortest wait for the others."""

USUAL_REPLY_TOKENS = 4_096
"""How long replies become of which nobody says it."""

THROUGHPUT_TARGET = 0.9
"""The fewest replies at a time that reach this share of the best throughput are chosen.

Those that get a place later are cancelled more cheaply, should they not be needed.
"""

LOOKED_AT = 64
"""How many of the first jobs of a run decide for how long prompts there has to be room."""

UNMEASURED = 4
"""How many run at a time where it cannot be measured what is worth it."""

_SIZES = (1, 2, 4, 8, 16)
_ALWAYS_MEASURED, _SECONDS = 4, 1.0
_STEPS, _STEP_SECONDS = 3, 0.04


@dataclass(frozen=True, slots=True)
class Throughput:
    """Tokens per second in all, for each number of replies at a time that was measured.

    `complete`: to run still more at a time gains nothing, or takes too long to find out.
    """

    rates: Mapping[int, float] = field(default_factory=dict)
    complete: bool = False

    def missing(self, most: int) -> list[int]:
        """The sizes to measure, up to `most`: powers of two, and the largest there may be."""
        if self.complete:
            return []
        sizes = [*(size for size in _SIZES if size < most), min(most, _SIZES[-1])]
        return [size for size in sizes if size not in self.rates]

    def smallest_good_size(self, most: int) -> int:
        """The fewest at a time that reach THROUGHPUT_TARGET of the best, at most `most`."""
        target = THROUGHPUT_TARGET * max(self.rates.values())
        enough = (size for size, rate in sorted(self.rates.items()) if rate >= target)
        return min(most, next(enough))


_measured: dict[int, Throughput] = {}
"""By the id of the backend, which may be a dataclass that cannot be hashed."""


def throughput(backend: Backend) -> Throughput:
    """What has been measured of a backend so far."""
    return _measured.get(id(backend), Throughput())


def expected(costs: StepCosts, depth: int) -> Throughput:
    """What step costs let expect of replies at a mean depth, in single steps instead of seconds."""
    return Throughput({size: size / costs.of(size, depth) for size in costs.sizes}, complete=True)


def fitting(backend: Backend, prompt_tokens: int, max_tokens: int | None) -> int:
    """How many replies at a time have room, at least 1."""
    reply_tokens = EXPECTED_REPLY_TOKENS
    if max_tokens is not None:
        reply_tokens = min(max_tokens, reply_tokens)
    return backend.room_for(prompt_tokens + reply_tokens)


def mean_depth(prompt_tokens: int, max_tokens: int | None) -> int:
    """How many tokens a step of such a reply attends to, on average."""
    return prompt_tokens + min(max_tokens or USUAL_REPLY_TOKENS, USUAL_REPLY_TOKENS) // 2


class BatchSize(Protocol):
    """How many replies to run at a time, `now`."""

    now: int

    def observe(self, streams: Sequence[ReplyStream], tokens: int, seconds: float) -> None:
        """Learn from a turn: what runs, and how many tokens came of how long in the model."""
        ...


def batch_size(
    backend: Backend,
    requested: int | Literal["auto"],
    most: int,
    *,
    measure: bool = True,
    depth: int = USUAL_REPLY_TOKENS // 2,
) -> BatchSize:
    """As many as requested and at most `most`; "auto": as many as are worth it.

    What is worth it follows from the step costs at a `mean_depth`, where the backend knows them,
    and else is measured once for each backend. Where that was not done yet and `measure` is False,
    it is UNMEASURED: to begin with one at a time would be a bad start for what has little time or
    few tokens.
    """
    if requested != "auto":
        return FixedSize(min(requested, most))
    known = throughput(backend)
    if not known.missing(most):
        return FixedSize(known.smallest_good_size(most))
    costs = backend.step_costs if isinstance(backend, KnowsStepCosts) else None
    if costs:
        return FixedSize(expected(costs, depth).smallest_good_size(most))
    return MeasuredSize(backend, most) if measure else FixedSize(min(most, UNMEASURED))


def batch_size_for(
    backend: Backend,
    first: Sequence[tuple[Sequence[Message], Settings]],
    requested: int | Literal["auto"],
    most: int | None,
    *,
    measure: bool = True,
) -> BatchSize:
    """As `batch_size`, by the longest prompt and the longest reply of the `first` that are asked.

    `most` may say that there are no more.
    """
    prompt_tokens, limits = 0, [settings.max_tokens for _, settings in first]
    for messages, _ in first:
        with suppress(UsageError, ContextFull):  # told when it is started
            tokens = backend.count_tokens(messages, at_most=backend.n_ctx)
            prompt_tokens = max(prompt_tokens, min(tokens, backend.n_ctx))
    known = [limit for limit in limits if limit is not None]
    max_tokens = max(known) if known and len(known) == len(limits) else None
    room = fitting(backend, prompt_tokens, max_tokens)
    depth = mean_depth(prompt_tokens, max_tokens)
    room = room if most is None else max(1, min(most, room))
    return batch_size(backend, requested, room, measure=measure, depth=depth)


class FixedSize:
    """So many at a time, always."""

    def __init__(self, now: int) -> None:
        self.now = now

    def observe(self, streams: Sequence[ReplyStream], tokens: int, seconds: float) -> None:
        """Learn nothing."""


class MeasuredSize:
    """Grows while throughput grows, and then stays at what is worth it.

    A batch in which a reply ends says nothing about a full one, and is the end of measuring. If no
    more than a few at a time had been measured by then, it is UNMEASURED, and nothing is kept.
    """

    def __init__(self, backend: Backend, most: int) -> None:
        self._backend, self._most = backend, most
        known = throughput(backend)
        self._rates, self._left = dict(known.rates), known.missing(most)
        self.now = self._left[0]
        self._measured_s = 0.0
        self._begin()

    def _begin(self) -> None:
        self._reading = True
        self._steps = self._tokens = 0
        self._seconds = 0.0

    def observe(self, streams: Sequence[ReplyStream], tokens: int, seconds: float) -> None:
        """Note a turn, and go on to the next size where this one is known."""
        if not self._left:
            return
        self._measured_s += seconds
        if len(streams) < self.now or any(stream.ended for stream in streams):
            self._give_up()
        elif self._reading:  # until every prompt is read and the first tokens are there
            self._reading = not all(stream.tokens for stream in streams)
        else:
            self._steps += 1
            self._tokens += tokens
            self._seconds += seconds
            if self._steps >= _STEPS and self._seconds >= _STEP_SECONDS:
                self._note(self._tokens / self._seconds)

    def _note(self, rate: float) -> None:
        """Note the throughput of this size; larger ones are left out where that is of no use."""
        before = max(self._rates.values(), default=0.0)
        self._rates[self.now], self._left = rate, self._left[1:]
        grows = rate * THROUGHPUT_TARGET >= before
        over = not grows or self._measured_s > _SECONDS
        if self.now >= _ALWAYS_MEASURED and over:
            self._choose(complete=True)
        elif self._left:
            self.now = self._left[0]
            self._begin()
        else:
            self._choose(complete=False)

    def _give_up(self) -> None:
        if self.now > _ALWAYS_MEASURED:
            self._choose(complete=False)
        else:
            self._left, self.now = [], min(self._most, UNMEASURED)

    def _choose(self, *, complete: bool) -> None:
        measured = Throughput(self._rates, complete)
        self._left, self.now = [], measured.smallest_good_size(self._most)
        key = id(self._backend)
        with suppress(TypeError):  # a backend without weak references is measured each time
            if key not in _measured:
                weakref.finalize(self._backend, _measured.pop, key, None)
            _measured[key] = measured
