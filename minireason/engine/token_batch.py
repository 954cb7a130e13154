"""The tokens that one decode computes, in llama.cpp's own struct."""

from __future__ import annotations

import ctypes

from minireason.engine.base import Batch
from minireason.engine.library import C, fill


class TokenBatch:
    """Room for `n_batch` tokens; each belongs to one slot."""

    def __init__(self, n_batch: int) -> None:
        self._token, self._pos = (C.llama_token * n_batch)(), (C.llama_pos * n_batch)()
        self._slot, self._output = (C.llama_seq_id * n_batch)(), (ctypes.c_int8 * n_batch)()
        self._n_slots = (ctypes.c_int32 * n_batch)(*[1] * n_batch)
        step = ctypes.sizeof(C.llama_seq_id)
        rows = (ctypes.POINTER(C.llama_seq_id) * n_batch)()
        for row in range(n_batch):
            rows[row] = ctypes.cast(
                ctypes.addressof(self._slot) + row * step, ctypes.POINTER(C.llama_seq_id)
            )
        self.struct = fill(
            C.llama_batch(),
            token=self._token,
            pos=self._pos,
            n_seq_id=self._n_slots,
            seq_id=rows,
            logits=ctypes.cast(self._output, ctypes.POINTER(ctypes.c_int8)),
        )
        """What llama_decode takes."""

    def set(self, batch: Batch) -> None:
        """Put these tokens in, in place of those before."""
        count = len(batch.tokens)
        self._token[:count], self._pos[:count] = batch.tokens, batch.positions
        self._slot[:count], self._output[:count] = batch.slots, list(map(int, batch.outputs))
        self.struct.n_tokens = count
