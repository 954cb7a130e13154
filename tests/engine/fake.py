"""A scripted runner that checks what it is handed: positions, slots, outputs, room."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from minireason.engine.base import END, Batch, Mask, SavedState, Step
from minireason.engine.room import GRANULE_TOKENS, CacheRoom
from minireason.errors import EngineError, LogitsNotFinite


class FakeState(tuple[int, ...]):
    """The tokens of a slot that was saved."""

    __slots__ = ()


class FakeRunner:
    """Its "model" says token + 1. A runner of one slot that becomes more and larger ones.

    `most` is the memory that there is, in tokens of all slots.
    """

    def __init__(self, *, n_slots: int = 1, slot_tokens: int = 64, n_batch: int = 8) -> None:
        self.n_slots, self.slot_tokens, self.n_batch = n_slots, slot_tokens, n_batch
        self.wide_tokens = 0
        self.closed = False
        self.tokens: list[list[int]] = [[] for _ in range(n_slots)]
        self.decodes: list[tuple[int, int]] = []
        self.batches: list[list[int]] = []
        """The slots of each batch, every one once."""
        self.rows: list[int | None] = []
        self.masks: list[Mask | None] = []
        """What each draw was asked with."""
        self.fail_next: BaseException | None = None
        self.fail_sample: BaseException | None = None
        self.most = 1_000_000
        self.damaged: set[int] = set()
        """Tokens whose cells make all logits of their slot not finite, until it is wiped."""
        self.poisoned: set[int] = set()
        self.moves: list[tuple[int, int]] = []
        self.was_stopped = threading.Event()
        self.stop_next = False
        self.before_decode: Callable[[], None] | None = None
        self._slots: list[int] = []

    @property
    def n_outputs(self) -> int:
        return max(self.n_slots, 8)

    @property
    def computed(self) -> int:
        """Tokens of all batches."""
        return sum(tokens for tokens, _ in self.decodes)

    def decode(self, batch: Batch) -> bool:
        tokens, positions, slots, outputs = batch
        if self.before_decode:
            before, self.before_decode = self.before_decode, None
            before()
        assert 0 < len(tokens) <= self.n_batch
        assert len(tokens) == len(positions) == len(slots) == len(outputs)
        assert sum(outputs) <= self.n_outputs
        assert slots == sorted(slots), "out of order"
        for token, position, slot in zip(tokens, positions, slots, strict=True):
            assert position == len(self.tokens[slot]), "a gap or an overlap"
            self.tokens[slot].append(token)
            assert len(self.tokens[slot]) <= self.slot_tokens, "no room"
            if token in self.damaged:
                self.poisoned.add(slot)
            if self.fail_next:
                error, self.fail_next = self.fail_next, None
                raise error
            if self.stop_next:
                self.stop_next = False
                return False
        self.decodes.append((len(tokens), sum(outputs)))
        self.batches.append(sorted(set(slots)))
        self.rows = [
            token if output else None for token, output in zip(tokens, outputs, strict=True)
        ]
        self._slots = slots
        return True

    def stop(self) -> None:
        self.was_stopped.set()

    def sample(self, sampler: Any, row: int, draw: int, mask: Mask | None = None) -> int:
        self.masks.append(mask)
        if self._slots[row] in self.poisoned:
            raise LogitsNotFinite("not finite")
        if self.fail_sample:
            error, self.fail_sample = self.fail_sample, None
            raise error
        token = self.rows[row]
        assert token is not None, "a row without logits"
        return token + 1

    def confidence(self, row: int) -> float:
        token = self.rows[row]
        assert token is not None, "a row without logits"
        return float(token)

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """The highest is that of the token that is sampled."""
        token = self.rows[row]
        assert token is not None, "a row without logits"
        logits = np.zeros(1_000, np.float32)
        logits[token + 1] = 5
        return logits

    def trim(self, slot: int, keep: int) -> None:
        del self.tokens[slot][keep:]

    def save(self, slot: int) -> FakeState:
        return FakeState(self.tokens[slot])

    def restore(self, slot: int, state: SavedState) -> None:
        assert isinstance(state, FakeState)
        assert not self.tokens[slot], "into a slot that is not empty"
        assert len(state) <= self.slot_tokens, "no room"
        self.tokens[slot] = list(state)

    def resize(self, n_slots: int, slot_tokens: int) -> bool:
        assert not any(self.tokens[n_slots:]), "what is not moved is lost"
        assert all(len(tokens) <= slot_tokens for tokens in self.tokens[:n_slots]), "no room"
        self.moves.append((n_slots, slot_tokens))
        fits = n_slots * slot_tokens <= self.most
        if fits:
            missing = n_slots - len(self.tokens)
            self.tokens = [*self.tokens[:n_slots], *([] for _ in range(missing))]
            self.n_slots, self.slot_tokens = n_slots, slot_tokens
        self.poisoned = {slot for slot in range(self.n_slots) if self._is_damaged(slot)}
        return fits

    def _is_damaged(self, slot: int) -> bool:
        return not self.damaged.isdisjoint(self.tokens[slot])

    def finish_resize(self) -> bool:
        return True

    def clear(self) -> None:
        self.poisoned.clear()
        for slot in range(self.n_slots):
            self.trim(slot, 0)

    def close(self) -> None:
        self.closed = True


def room(
    n_ctx: int = 64, max_tokens: int = 0, *, slots: int = 4, start: int = 64, spare: int = 1_000
) -> CacheRoom:
    """Room for so many full slots, as far as not said otherwise."""
    each = -(-n_ctx // GRANULE_TOKENS) * GRANULE_TOKENS
    return CacheRoom(n_ctx, max_tokens or each * slots, min(n_ctx, start), spare, slots)


class ListHandler:
    """Takes tokens into a list, up to `limit`.

    `forced` maps a number of tokens to ids to force after it.
    """

    def __init__(self, limit: int, forced: dict[int, list[int]] | None = None) -> None:
        self.taken: list[int] = []
        self.limit, self.forced = limit, forced or {}
        self.context_full = False
        self.kept = self.removed = 0
        self.cached_tokens: int | None = None
        self.told_limit: int | None = None
        self.steps: dict[int, Step] = {}
        self.rewind: Step | None = None
        """What becomes of the sequence after the next token, which itself is not taken."""
        self.error: EngineError | None = None

    def on_admit(self, cached_tokens: int) -> None:
        self.cached_tokens = cached_tokens

    def on_token(self, token: int, draw: int) -> Step:
        if draw not in self.steps:
            self.steps[draw] = self._decide(token)
        return self.steps[draw]

    def _decide(self, token: int) -> Step:
        if self.rewind:
            step, self.rewind = self.rewind, None
            return step
        if len(self.taken) >= self.limit:
            return END
        forced = self.forced.get(len(self.taken) + 1, [])
        self.taken += [token, *forced]
        return Step([token, *forced])

    def reserved_tokens(self, n_ctx: int) -> int:
        return self.kept

    def on_context_limit(self, n_ctx: int) -> None:
        self.told_limit = n_ctx

    def on_context_full(self) -> None:
        self.context_full = True

    def on_removed(self) -> None:
        self.removed += 1

    def on_error(self, error: EngineError) -> None:
        self.error = error
