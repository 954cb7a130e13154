"""The KV cache of a model in llama.cpp, and the decode that fills it; a status is an exception."""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import dataclass

import numpy as np

from minireason.engine.base import Batch, Mask
from minireason.engine.confidence import token_confidence
from minireason.engine.context_params import ContextParams
from minireason.engine.handle import Owner, starts_threads
from minireason.engine.helper_call import HelperCall
from minireason.engine.interruption import DeferredInterrupt
from minireason.engine.library import C, log_tail
from minireason.engine.logits import Logits, forbid, likeliest
from minireason.engine.model import Model
from minireason.engine.room import CacheShape
from minireason.engine.sampler import SamplerChain
from minireason.engine.saved_state import SavedState
from minireason.engine.stop_flag import StopFlag
from minireason.engine.threads import ThreadGovernor
from minireason.engine.token_batch import TokenBatch
from minireason.errors import DecodeFailed, EngineError, LogitsNotFinite

_FLASH_WIDE_TOKENS = 64
"""From so many tokens on flash attention on the CPU takes its fast way.

Over 1,000 cached tokens 48 took 0.61 s and 64 took 0.26 s (SmolLM2).
"""

_ABORTED = 2
"""llama_decode's status after the abort callback gave true."""

_PATIENCE_S = 0.1
"""A decode that takes longer is made where Ctrl-C can end it."""


class Context:
    """A KV cache of the shape `shape`, and the batch that fills its slots.

    See `base.ModelRunner`. Each slot is a stream of its own: a token attends past those of its own
    slot only. `n_outputs` as small as it can be saves most of the compute buffer. With
    `adapt_threads` fewer threads compute while other programs keep cores busy.
    """

    def __init__(
        self,
        model: Model,
        shape: CacheShape,
        params: ContextParams,
        *,
        adapt_threads: bool = False,
    ) -> None:
        self._model, self._params = model, params
        self.n_batch = params.n_batch
        self.wide_tokens = _FLASH_WIDE_TOKENS if params.flash else 0
        self.governor = ThreadGovernor(params.n_threads, adapts=adapt_threads)
        self._stop = StopFlag()
        self._token_s = float("inf")  # not known yet
        self._moving: _Move | None = None
        self._lost = self._closed = False
        if params.n_threads > 1:
            starts_threads()
        self._open(shape)
        self._batch = TokenBatch(params.n_batch)

    def _open(self, shape: CacheShape) -> None:
        self._handle = self._params.open(self._model, shape, self._stop)
        self._shape, self.n_outputs = shape, shape.n_outputs
        self.n_slots, self.slot_tokens = shape

    @property
    def owner(self) -> Owner:
        """The C object; raises EngineError after close()."""
        return self._handle.get()

    def close(self) -> None:
        """Free the cache, after a call in another thread; a decode that runs ends soon.

        Every later call raises EngineError, but `trim` does nothing.
        """
        self._closed = True
        self.stop()
        self._moving = None
        while self._handle.is_open:  # what waited for `resize` finds another one
            self._handle.close()

    def decode(self, batch: Batch) -> bool:
        """Compute at most `n_batch` tokens; False if it was ended by `stop`.

        Then the slots may hold some of them. Raises DecodeFailed. In the main thread a
        KeyboardInterrupt ends it too.
        """
        batch.check(self.n_batch, self._shape)
        compute = functools.partial(self._compute, batch)
        if (
            len(batch.tokens) * self._token_s > _PATIENCE_S
            and threading.current_thread() is threading.main_thread()
        ):
            return HelperCall(compute, self._handle.lock, self.stop).run()
        return compute()

    def _compute(self, batch: Batch) -> bool:
        with self._handle.lock:
            owner = self._handle.get()
            self._batch.set(batch)
            started = time.perf_counter()
            try:
                status = _ABORTED
                if not self._stop.is_set:
                    threads = self.governor.begin()
                    if C.llama_n_threads(owner.pointer) != threads:
                        C.llama_set_n_threads(owner.pointer, threads, threads)
                    status = C.llama_decode(owner.pointer, self._batch.struct)
            finally:
                self._stop.clear()
        if status not in (0, _ABORTED):
            raise DecodeFailed(status, log_tail())
        if status == 0:
            self._token_s = (time.perf_counter() - started) / len(batch.tokens)
            self.governor.end(len(batch.tokens))
        return bool(status == 0)

    def stop(self) -> None:
        """End a decode that runs soon, from any thread; it gives False.

        On the CPU: after the operation of the graph that is computed, one matrix product at most. A
        decode on a GPU runs to its end. Where none runs, the next one ends before it computes
        anything. So a stop that comes just before the decode that it is meant for is not lost, and
        whoever gets False looks again at what is wanted.
        """
        self._stop.set()

    def sample(self, sampler: SamplerChain, row: int, draw: int, mask: Mask | None = None) -> int:
        """One token from the logits of a row of the last batch that had `outputs` set.

        Of a `mask`, what it forbids is never drawn.
        `draw` is its number; asked again for the last one, this gives the same and draws nothing.
        """
        token = sampler.drawn(draw)
        if token is not None:
            return token
        with self._handle.lock:
            owner = self._handle.get()
            logits = self._logits(owner, row)
            if mask is not None:
                forbid(logits, mask)
            return sampler.draw(draw, likeliest(logits, sampler.looks_at), logits)

    def confidence(self, row: int) -> float:
        """How sure the model is of the token after a row of the last batch with `outputs` set.

        See `engine.confidence`; raises LogitsNotFinite.
        """
        with self._handle.lock:
            owner = self._handle.get()
            return token_confidence(self._logits(owner, row))

    def logits(self, row: int) -> Logits:
        """A copy of the logits after a row of the last batch with `outputs` set.

        They are the raw ones before `sample` was called for that row; raises LogitsNotFinite.
        """
        with self._handle.lock:
            owner = self._handle.get()
            return self._logits(owner, row).copy()

    def _logits(self, owner: Owner, row: int) -> Logits:
        """The logits of a row, all of them finite, in the memory of `owner`; raises
        LogitsNotFinite."""
        pointer = C.llama_get_logits_ith(owner.pointer, row)
        logits = np.ctypeslib.as_array(pointer, (self._model.vocabulary.n_vocab,))
        if not np.isfinite(logits).all():  # 0.024 ms for 152k tokens
            raise LogitsNotFinite(
                "The model gives numbers that are not finite, so no token can be drawn from them; "
                "its file is damaged: download it again."
            )
        return logits

    def trim(self, slot: int, keep: int) -> None:
        """Forget a slot's positions from `keep` on."""
        with self._handle.lock:
            if not self._handle.is_open or slot >= self.n_slots:
                return  # a stream may be closed after its model, and after its slot
            owner = self._handle.get()
            memory = C.llama_get_memory(owner.pointer)
            done = C.llama_memory_seq_rm(memory, slot, keep, -1)
        if not done:
            raise EngineError(
                "llama.cpp could not forget part of a sequence; "
                "this kind of model is not supported."
            )

    def clear(self) -> None:
        """Forget all slots and what their cells hold, which `trim` leaves in memory."""
        with self._handle.lock:
            owner = self._handle.get()
            C.llama_memory_clear(C.llama_get_memory(owner.pointer), True)
        self._lost = False

    def save(self, slot: int) -> SavedState:
        """What a slot holds, in RAM; raises EngineError, and MemoryError where that has no room."""
        self._check_slot(slot)
        with DeferredInterrupt(), self._handle.lock:
            owner = self._handle.get()
            return SavedState(owner.pointer, slot, self.n_slots)

    def restore(self, slot: int, state: SavedState) -> None:
        """Fill an empty slot with what another one held, here or in another context of this model.

        Raises EngineError if it does not go in.
        """
        self._check_slot(slot)
        with DeferredInterrupt(), self._handle.lock:
            owner = self._handle.get()
            state.restore(owner.pointer, slot, self.n_slots)

    def _check_slot(self, slot: int) -> None:
        if not 0 <= slot < self.n_slots:
            raise ValueError("a slot that would abort inside llama.cpp")

    def resize(self, n_slots: int, slot_tokens: int) -> bool:
        """Move what the first `n_slots` slots hold into a cache of this size.

        False if there is no memory for it; all is as before then. Raises EngineError if there is
        none for the old one either, `finish_resize` tries again; and ValueError if a slot holds
        more than `slot_tokens`.
        """
        wanted = CacheShape(n_slots, slot_tokens)
        with self._handle.lock:
            held = {slot: self._held(slot) for slot in range(min(n_slots, self.n_slots))}
            if max(held.values()) > slot_tokens:
                raise ValueError("a slot holds more than it would have room for")
            try:
                states = {slot: self.save(slot) for slot, count in held.items() if count}
            except MemoryError:
                return False
            self._moving = _Move(states, self._shape, wanted)
            moved = self.finish_resize()
        if not moved:
            raise EngineError(
                f"llama.cpp could not move its state into {n_slots} slots of {slot_tokens} tokens; "
                f"it is read again."
            )
        return self._shape == wanted

    def _held(self, slot: int) -> int:
        """How many tokens a slot holds."""
        memory = C.llama_get_memory(self._handle.get().pointer)
        return int(C.llama_memory_seq_pos_max(memory, slot)) + 1

    def finish_resize(self) -> bool:
        """Finish a move that was cut off; False if what was in the cache is lost.

        Raises EngineError.
        """
        moving = self._moving
        if moving is None:
            return self._handle.is_open and not self._lost
        self._handle.close()  # before the new one is made, so that there are never two
        try:
            self._open(moving.wanted)
        except EngineError:
            self._open(moving.before)
        self._lost = not self._restored(moving)  # until `clear`, when nobody counts on it any more
        self._moving = None
        if self._closed:
            self.close()
        return not self._lost

    def _restored(self, moving: _Move) -> bool:
        try:
            for slot, state in moving.states.items():
                self.restore(slot, state)
        except EngineError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Move:
    """What goes from one context into another, which is not done before this is gone."""

    states: dict[int, SavedState]
    before: CacheShape
    wanted: CacheShape
