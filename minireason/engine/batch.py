"""Who gets how much of the next batch: continuous batching with chunked prefill."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from minireason.engine.base import Batch
from minireason.engine.sequence import Sequence, Slot


class Chunk(NamedTuple):
    """So many pending tokens of a sequence, and whether the next one is sampled after them.

    `draft` comes after them, and a token is sampled after each of it.
    """

    slot: Slot
    owner: Sequence
    size: int
    output: bool
    draft: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Its tokens in the batch."""
        return self.size + len(self.draft)


def plan_batch(
    live: Iterable[Sequence], n_batch: int, arrival: Callable[[Sequence], int]
) -> list[Chunk]:
    """Plan single tokens first, then chunks of the prompts; `arrival` says who came first.

    In the end all stand in the order of their slots.
    """
    room = n_batch
    plan: list[Chunk] = []
    prefills: list[tuple[int, Slot, Sequence]] = []
    for owner in live:
        slot = owner.slot
        if slot is None:
            continue
        count = len(owner.tokens) - len(slot.cached)
        if count > 1:
            prefills.append((count - 1, slot, owner))
        elif room:
            plan.append(Chunk(slot, owner, 1, True))
            room -= 1
    if prefills:
        plan += _plan_prefills(prefills, room, arrival)
    return sorted(plan, key=lambda chunk: chunk.slot.index)


def _plan_prefills(
    prefills: list[tuple[int, Slot, Sequence]], room: int, arrival: Callable[[Sequence], int]
) -> list[Chunk]:
    """Plan chunks of prompts, each given with how many of its tokens are still to be read.

    The shortest goes first, which is soonest done. But half of the batch is for the one that came
    first, so that it does not starve under short ones that keep coming.
    """
    plan: list[Chunk] = []
    first = min(prefills, key=lambda item: arrival(item[2]))
    kept = min(first[0], room // 2)
    prefills.remove(first)
    prefills.sort(key=lambda item: item[0])
    for count, slot, owner in prefills:
        if room > kept:
            size = _chunk_size(count, room - kept)
            plan.append(Chunk(slot, owner, size, False))
            room -= size
    if room:
        count, slot, owner = first
        plan.append(Chunk(slot, owner, _chunk_size(count, room), False))
    return plan


def _chunk_size(count: int, room: int) -> int:
    """Size of the next of equal chunks, since attention over a small batch is the slowest."""
    chunks = -(-count // room)
    return -(-count // chunks)


def batch_of(plan: Iterable[Chunk]) -> Batch:
    """Make the batch of a plan."""
    tokens, positions, slots, outputs = Batch([], [], [], [])
    for chunk in plan:
        start, rows = len(chunk.slot.cached), chunk.rows
        tokens += [*chunk.owner.tokens[start : start + chunk.size], *chunk.draft]
        positions += range(start, start + rows)
        slots += [chunk.slot.index] * rows
        outputs += [chunk.output] * rows
    return Batch(tokens, positions, slots, outputs)
