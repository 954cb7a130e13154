"""Who gets how much of the next batch: continuous batching with chunked prefill."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from minireason.engine.sequence import Sequence, Slot


class Share(NamedTuple):
    """So many pending tokens of a sequence, and whether the next one is sampled after them."""

    slot: Slot
    owner: Sequence
    size: int
    output: bool


class Batch(NamedTuple):
    """What `ModelRunner.decode` is called with, a value a token."""

    tokens: list[int]
    positions: list[int]
    slots: list[int]
    outputs: list[bool]


def shares(
    live: Iterable[tuple[Slot, Sequence]], n_batch: int, arrival: Callable[[Sequence], int]
) -> list[Share]:
    """Single tokens first, then slices of the prompts that are read; `arrival` says who came first.

    Of several prompts the shortest goes first, which is soonest done. But half of the room is for the one that
    came first, so that it does not starve under short ones that keep coming.
    """
    room = n_batch
    plan: list[Share] = []
    reading: list[tuple[int, Slot, Sequence]] = []
    for slot, owner in live:
        count = len(owner.tokens) - len(slot.cached)
        if count > 1:
            reading.append((count - 1, slot, owner))
        elif room:
            plan.append(Share(slot, owner, 1, True))
            room -= 1
    if not reading:
        return plan
    first = min(reading, key=lambda item: arrival(item[2]))
    kept = min(first[0], room // 2)
    reading.remove(first)
    reading.sort(key=lambda item: item[0])
    for count, slot, owner in reading:
        if room > kept:
            share = _slice(count, room - kept)
            plan.append(Share(slot, owner, share, False))
            room -= share
    if room:
        count, slot, owner = first
        plan.append(Share(slot, owner, _slice(count, room), False))
    return plan


def _slice(count: int, room: int) -> int:
    """How many of so many tokens to read now: slices of one size, since attention over a small batch is the slowest."""
    slices = -(-count // room)
    return -(-count // slices)


def batch(plan: Iterable[Share]) -> Batch:
    """The batch of a plan."""
    tokens, positions, slots, outputs = Batch([], [], [], [])
    for slot, owner, count, output in plan:
        start = len(slot.cached)
        tokens += owner.tokens[start : start + count]
        positions += range(start, start + count)
        slots += [slot.index] * count
        outputs += [output] * count
    return Batch(tokens, positions, slots, outputs)
