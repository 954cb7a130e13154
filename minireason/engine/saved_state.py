"""What a slot of a KV cache holds, kept in RAM."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from minireason.engine.library import C, log_tail
from minireason.errors import EngineError

MAX_STREAMS = 256
"""llama.cpp's limit of slots, LLAMA_MAX_SEQ in llama-cparams.h."""

_HEAD = struct.Struct("=IiI")  # a magic number, the slot, the streams of the cache
_COUNT_BYTES = 4


class SavedState:
    """The keys and values of one slot, for a slot of any context with the same model and kv_type.

    llama.cpp writes a head, and for each stream of the cache how many cells of the slot it holds
    and those cells (llama_kv_cache::state_write). A cache with another number of streams refuses
    that. All cells of a slot lie in one stream, and where in the order it comes is the same to the
    reader. So a head is put right before that one stream, over the zeros of those that come before
    it, and zeros for as many as there may be behind it: nothing is copied for a cache of any
    number. Not for two threads at once.
    """

    def __init__(self, context: Any, slot: int, n_slots: int) -> None:
        """Save a slot of a context of `n_slots`; raises EngineError and MemoryError."""
        size = int(C.llama_state_seq_get_size(context, slot))
        self._bytes = np.empty(size + MAX_STREAMS * _COUNT_BYTES, np.uint8)
        written = C.llama_state_seq_get_data(context, _pointer(self._bytes), size, slot)
        if not written == size > 0:
            raise EngineError(f"llama.cpp could not save what slot {slot} holds: {log_tail()}.")
        self._magic = int(self._bytes[:4].view(np.uint32)[0])
        self._start = slot * _COUNT_BYTES
        self._end = size - (n_slots - 1 - slot) * _COUNT_BYTES
        self._bytes[self._end :] = 0

    def restore(self, context: Any, slot: int, n_slots: int) -> None:
        """Put it into an empty slot of a context of `n_slots`; raises EngineError if it stays
        empty."""
        _HEAD.pack_into(self._bytes.data, self._start, self._magic, 0, n_slots)
        state = self._bytes[self._start : self._end + (n_slots - 1) * _COUNT_BYTES]
        taken = C.llama_state_seq_set_data(context, _pointer(state), state.nbytes, slot)
        if taken != state.nbytes:
            raise EngineError(
                f"llama.cpp could not bring back what a slot held "
                f"({log_tail() or 'no reason given'}); it is read again."
            )


def _pointer(array: npt.NDArray[np.uint8]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
