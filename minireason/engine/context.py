"""The KV cache of a model in llama.cpp, and the decode that fills it; a status is an exception."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from minireason.engine.base import Mask
from minireason.engine.confidence import token_confidence
from minireason.engine.handle import Handle, Owner, starts_threads
from minireason.engine.library import C, clear_log, fill, log_tail
from minireason.engine.logits import Logits, forbid, likeliest
from minireason.engine.model import Model
from minireason.engine.sampler import SamplerChain
from minireason.errors import DecodeFailed, EngineError, LogitsNotFinite
from minireason.settings import KvType

_FLASH_WIDE_TOKENS = 64
"""From so many tokens on flash attention on the CPU takes its fast way.

Over 1,000 cached tokens 48 took 0.61 s and 64 took 0.26 s (SmolLM2).
"""


class Context:
    """A KV cache of `n_ctx` tokens shared by `n_seq_max` slots, and the batch that fills it.

    See `base.ModelRunner`. One unified cache: a fork shares cells, and the cache's state fits into
    a larger one. `n_outputs_max` as small as it can be saves most of the compute buffer.
    """

    def __init__(
        self,
        model: Model,
        *,
        n_ctx: int,
        n_batch: int,
        n_seq_max: int,
        n_threads: int,
        kv_type: KvType = "f16",
        flash_attention: bool = False,
    ) -> None:
        self.n_ctx, self.n_batch, self.n_seq_max = n_ctx, n_batch, n_seq_max
        self._model, self._n_threads, self._kv_type = model, n_threads, kv_type
        self._flash = flash_attention or kv_type != "f16"  # quantized values need it
        self.wide_tokens = _FLASH_WIDE_TOKENS if self._flash else 0
        self._moving: _Move | None = None
        self._lost = False
        if n_threads > 1:
            starts_threads()
        self._handle = self._open(n_ctx)
        self._token, self._pos = (C.llama_token * n_batch)(), (C.llama_pos * n_batch)()
        self._seq, self._output = (C.llama_seq_id * n_batch)(), (ctypes.c_int8 * n_batch)()
        self._n_seq = (ctypes.c_int32 * n_batch)(*[1] * n_batch)
        step = ctypes.sizeof(C.llama_seq_id)
        rows = (ctypes.POINTER(C.llama_seq_id) * n_batch)()
        for row in range(n_batch):
            rows[row] = ctypes.cast(
                ctypes.addressof(self._seq) + row * step, ctypes.POINTER(C.llama_seq_id)
            )
        self._batch = fill(
            C.llama_batch(),
            token=self._token,
            pos=self._pos,
            n_seq_id=self._n_seq,
            seq_id=rows,
            logits=ctypes.cast(self._output, ctypes.POINTER(ctypes.c_int8)),
        )

    def _open(self, n_ctx: int) -> Handle:
        clear_log()
        model = self._model.owner
        kv_type = getattr(C, f"GGML_TYPE_{self._kv_type.upper()}")
        params = fill(
            C.llama_context_default_params(),
            n_ctx=n_ctx,
            n_batch=self.n_batch,
            n_ubatch=self.n_batch,
            n_seq_max=self.n_seq_max,
            n_outputs_max=self.n_seq_max,
            n_threads=self._n_threads,
            n_threads_batch=self._n_threads,
            type_k=kv_type,
            type_v=kv_type,
            flash_attn_type=C.LLAMA_FLASH_ATTN_TYPE_ENABLED
            if self._flash
            else C.LLAMA_FLASH_ATTN_TYPE_DISABLED,
            kv_unified=True,
            no_perf=True,
        )
        make = functools.partial(C.llama_init_from_model, model.pointer, params)
        handle = Handle(make, C.llama_free, model)
        if not handle.is_open:
            raise EngineError(
                f"llama.cpp could not make a context of {n_ctx} tokens "
                f"({log_tail() or 'not enough memory?'}); ask for a smaller one."
            )
        self.n_ctx = int(C.llama_n_ctx(handle.get().pointer))
        return handle

    @property
    def owner(self) -> Owner:
        """The C object; raises EngineError after close()."""
        return self._handle.get()

    def close(self) -> None:
        """Free the cache, after a call in another thread.

        Every later call raises EngineError, but `trim` does nothing.
        """
        self._moving = None
        while self._handle.is_open:  # what waited for `grow` finds another one
            self._handle.close()

    def decode(
        self, tokens: list[int], positions: list[int], slots: list[int], outputs: list[bool]
    ) -> bool:
        """Compute at most `n_batch` tokens; False if the cache has no room (nothing changed).

        Raises DecodeFailed.
        """
        count = len(tokens)
        if (
            not 0 < count <= self.n_batch
            or sum(outputs) > self.n_seq_max
            or not all(0 <= slot < self.n_seq_max for slot in slots)
        ):
            raise ValueError("a batch that would abort inside llama.cpp")
        self._token[:count], self._pos[:count], self._seq[:count] = tokens, positions, slots
        self._output[:count] = [int(output) for output in outputs]
        self._batch.n_tokens = count
        with self._handle.lock:
            owner = self._handle.get()
            status = C.llama_decode(owner.pointer, self._batch)
        if status not in (0, 1):
            raise DecodeFailed(status, log_tail())
        return bool(status == 0)

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
            if not self._handle.is_open:
                return  # a stream may be closed after its model
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

    def copy(self, source: int, target: int, count: int) -> None:
        """Let an empty slot share the first `count` positions of another."""
        with self._handle.lock:
            owner = self._handle.get()
            memory = C.llama_get_memory(owner.pointer)
            C.llama_memory_seq_cp(memory, source, target, 0, count)

    def grow(self, n_ctx: int) -> bool:
        """Move everything into a cache of `n_ctx` tokens; False without memory (nothing changed).

        Raises EngineError if then there is none for the old one either; `finish_grow` tries again.
        """
        with self._handle.lock:
            before = self.n_ctx
            state, written = self._saved_state()
            self._moving = _Move(state, written, before, n_ctx)
            moved = self.finish_grow()
        if not moved:
            raise EngineError(
                f"llama.cpp could not move its state into a context of {n_ctx} tokens; "
                f"it is read again."
            )
        return self.n_ctx > before

    def finish_grow(self) -> bool:
        """Finish a move that was cut off; False if what was in the cache is lost.

        Raises EngineError.
        """
        moving = self._moving
        if moving is None:
            return self._handle.is_open and not self._lost
        self._handle.close()  # before the new one is made, so that there are never two
        try:
            self._handle = self._open(moving.n_ctx)
        except EngineError:
            self._handle = self._open(moving.before)
        moved = self._restore(moving)
        self._lost = not moved  # until `clear`, which comes when nobody counts on it any more
        self._moving = None
        return moved

    def _saved_state(self) -> tuple[Any, int]:
        """What all slots hold, and its size in bytes."""
        owner = self._handle.get()
        size = C.llama_state_get_size(owner.pointer)
        state = (ctypes.c_uint8 * size)()
        return state, int(C.llama_state_get_data(owner.pointer, state, size))

    def _restore(self, moving: _Move) -> bool:
        with self._handle.lock:
            owner = self._handle.get()
            taken = C.llama_state_set_data(owner.pointer, moving.state, moving.written)
        return bool(taken == moving.written)


@dataclass(frozen=True, slots=True)
class _Move:
    """What goes from one context into another, which is not done before this is gone."""

    state: Any
    written: int
    before: int
    n_ctx: int
