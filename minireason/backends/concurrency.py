"""How many chains to run at a time: what memory holds, and what this machine gains from."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Literal
from weakref import WeakKeyDictionary

from minireason.backends.base import Backend, ReplyStream
from minireason.errors import UsageError
from minireason.settings import VoteSettings

EXPECTED_CHAIN_TOKENS = 8_192
"""What a chain is given room for. Where many become longer than that, the shortest wait for the others to end."""

WORTH_IT = 0.9
"""The fewest chains that reach this share of the best speed are chosen: slots filled later are cancelled more cheaply."""

UNMEASURED = 4
"""How many run at a time where it cannot be measured what is worth it."""

MEASURING_TOKENS, MEASURING_SECONDS = 1_000, 10.0
"""What measuring may take: it is left out where a budget is smaller."""

_SIZES = (1, 2, 4, 8, 16)
_ALWAYS_MEASURED, _SECONDS = 4, 1.0
_STEPS, _STEP_SECONDS = 3, 0.04
_measured: WeakKeyDictionary[Backend, dict[int, float]] = WeakKeyDictionary()


def fitting(backend: Backend, prompt_tokens: int, max_tokens: int | None) -> int:
    """How many chains at a time have room, at least 1."""
    expected = (
        EXPECTED_CHAIN_TOKENS if max_tokens is None else min(max_tokens, EXPECTED_CHAIN_TOKENS)
    )
    return backend.room_for(prompt_tokens + expected)


def affordable(vote: VoteSettings) -> bool:
    """Whether a vote's budgets leave room for measuring."""
    tokens, seconds = vote.budget_tokens, vote.budget_s
    return (tokens is None or tokens >= MEASURING_TOKENS) and (
        seconds is None or seconds >= MEASURING_SECONDS
    )


def choose(
    backend: Backend,
    wished: int | Literal["auto"],
    most: int,
    start: Callable[[int], ReplyStream],
    *,
    measure: bool = True,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """How many chains to run at a time, at most `most`: as many as wished for, or as are worth it.

    What is worth it is measured once a reasoner, on streams that `start` opens, until it is `stopped`.
    Where it has not been, and is not to be (`measure` False, for a budget smaller than MEASURING_TOKENS
    or MEASURING_SECONDS) or cannot be, since the streams end too soon or it is stopped, it is UNMEASURED.
    """
    if wished != "auto":
        return min(wished, most)
    if most == 1:
        return 1
    rates = _measured.get(backend)
    if rates is None:
        largest = min(backend.max_parallel, _SIZES[-1])
        rates = batch_rates(start, largest, stopped) if measure else None
        if rates is None:
            return min(most, UNMEASURED)
        _measured[backend] = rates
    best = max(rates.values())
    return min(most, next(size for size, rate in sorted(rates.items()) if rate >= WORTH_IT * best))


def batch_rates(
    start: Callable[[int], ReplyStream], most: int, stopped: Callable[[], bool] = lambda: False
) -> dict[int, float] | None:
    """Tokens per second in all for batches of 1, 2, 4, ... streams; takes a second, or what four streams need.

    A batch in which a stream ends says nothing about a full one, and is the end of measuring; so is being stopped.
    None if four streams were not reached.
    """
    rates: dict[int, float] = {}
    began = time.perf_counter()
    with ExitStack() as stack:
        streams: list[ReplyStream] = []
        for size in _SIZES:
            if size > most or (size > _ALWAYS_MEASURED and time.perf_counter() - began > _SECONDS):
                break
            while len(streams) < size:
                streams.append(stack.enter_context(start(len(streams))))
            rate = _rate(streams, stopped)
            if rate is None:
                return rates if size > _ALWAYS_MEASURED else None
            rates[size] = rate
    return rates


def _rate(streams: list[ReplyStream], stopped: Callable[[], bool]) -> float | None:
    """Tokens per second of these streams together, None if one of them ends or it is stopped."""
    while not all(stream.tokens for stream in streams):  # until every prompt is read
        if stopped() or _step(streams):
            return None
    before, steps, began = _tokens(streams), 0, time.perf_counter()
    while steps < _STEPS or time.perf_counter() - began < _STEP_SECONDS:
        if stopped() or _step(streams):
            return None
        steps += 1
    return (_tokens(streams) - before) / (time.perf_counter() - began)


def _step(streams: list[ReplyStream]) -> bool:
    """One step of the model at most for each stream; whether one has ended."""
    for stream in streams:
        with suppress(UsageError):  # of a schema's own code: the answer is not wanted here
            stream.poll()
    return any(stream.ended for stream in streams)


def _tokens(streams: list[ReplyStream]) -> int:
    return sum(stream.tokens for stream in streams)
