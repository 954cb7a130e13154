"""How long decodes take here: short-lived contexts over an open model, and what times them.

What they compute means nothing, and takes as long as if it did: no kernel of llama.cpp looks at the
values. So the tokens that a decode attends to need not be read before, which for thousands would
take half a minute, and of a large model its first layers stand for all.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import replace
from typing import Any

from minireason.closing import Closing
from minireason.engine.base import Batch
from minireason.engine.context_params import ContextParams
from minireason.engine.handle import starts_threads
from minireason.engine.library import C, log_tail, name_of_tensor
from minireason.engine.model import Model
from minireason.engine.room import CacheShape
from minireason.engine.stop_flag import StopFlag
from minireason.engine.token_batch import TokenBatch
from minireason.errors import DecodeFailed, EngineError

_TOKEN = 1
"""Any token will do."""

_SLICE = 512
"""Tokens that are put into a slot at a time."""


class Probe(Closing):
    """A KV cache over the first `layers` layers of a model; None: over all and the output.

    It has `n_slots` slots of `slot_tokens` tokens, each a stream of its own, and closes as a
    context manager. Raises EngineError where there is no memory for it.
    """

    def __init__(
        self,
        model: Model,
        params: ContextParams,
        *,
        n_slots: int = 1,
        slot_tokens: int = 512,
        layers: int | None = None,
    ) -> None:
        self.n_slots, self.params, self.depth = n_slots, params, 0
        self.model = model
        self._stop = StopFlag()  # never set; llama.cpp looks at it
        self._ends_after = None if layers is None else _EndAfter(layers)
        if params.n_threads > 1:
            starts_threads()
        on_node = self._ends_after and self._ends_after.callback
        self._shape = CacheShape(n_slots, slot_tokens)
        self._handle = params.open(model, self._shape, self._stop, on_node)
        self._batch = TokenBatch(params.n_batch)

    def close(self) -> None:
        """Free the cache."""
        self._handle.close()

    def deepen(self, depth: int) -> None:
        """Have every slot hold `depth` tokens from now on, without computing them."""
        self._cut(0)
        if depth:
            state = self._blank_state(depth)
            with self._handle.lock:
                owner = self._handle.get()
                for slot in range(self.n_slots):
                    taken = C.llama_state_seq_set_data(owner.pointer, state, len(state), slot)
                    if taken != len(state):
                        raise EngineError(f"llama.cpp could not fill a slot with {depth} tokens.")
        self.depth = depth

    def _blank_state(self, depth: int) -> Any:
        """What a slot with `depth` tokens holds of which no layer was computed.

        It is of a context with as many streams, since llama.cpp takes no other.
        """
        like = replace(self.params, n_batch=_SLICE, n_ubatch=_SLICE)
        with Probe(self.model, like, n_slots=self.n_slots, slot_tokens=depth, layers=0) as blank:
            for start in range(0, depth, _SLICE):
                blank.read(min(_SLICE, depth - start))
                blank.depth = min(depth, start + _SLICE)
            return blank.state()

    def state(self) -> Any:
        """What the first slot holds, as llama.cpp saves it."""
        with self._handle.lock:
            owner = self._handle.get()
            state = (ctypes.c_uint8 * C.llama_state_seq_get_size(owner.pointer, 0))()
            C.llama_state_seq_get_data(owner.pointer, state, len(state), 0)
        return state

    def read(self, tokens: int) -> None:
        """Read so many tokens into the first slot, at most `n_batch`, behind those it holds."""
        self._decode(Batch.of_slot(0, [_TOKEN] * tokens, self.depth))

    def step(self, batch: int) -> None:
        """Decode a token of each of the first `batch` slots."""
        depths, slots = [self.depth] * batch, list(range(batch))
        self._decode(Batch([_TOKEN] * batch, depths, slots, [True] * batch))

    def forget(self) -> None:
        """Forget what was read behind the `depth` tokens of each slot."""
        self._cut(self.depth)

    def _cut(self, keep: int) -> None:
        with self._handle.lock:
            owner = self._handle.get()
            memory = C.llama_get_memory(owner.pointer)
            for slot in range(self.n_slots):
                C.llama_memory_seq_rm(memory, slot, keep, -1)

    def _decode(self, batch: Batch) -> None:
        """Compute a batch to its end; raises DecodeFailed."""
        batch.check(self.params.n_batch, self._shape)
        with self._handle.lock:
            owner = self._handle.get()
            self._batch.set(batch)
            status = C.llama_decode(owner.pointer, self._batch.struct)
            C.llama_synchronize(owner.pointer)
        if self._ends_after:
            self._ends_after.raise_again()
        if status:
            raise DecodeFailed(status, log_tail())


class _EndAfter:
    """llama.cpp's callback for each node of a graph: it ends the graph after so many layers.

    What the graph was to give is not computed, and nothing says so: the tokens are in the cache.
    """

    def __init__(self, layers: int) -> None:
        self._last = f"l_out-{layers - 1}".encode() if layers else None
        self._raised: BaseException | None = None
        self.callback = C.ggml_backend_sched_eval_callback(self)

    def __call__(self, tensor: int, ask: bool, _data: Any) -> bool:
        """Asked before a node: whether it is the last; after that one: that this was all."""
        try:
            return ask and (self._last is None or name_of_tensor(tensor) == self._last)
        except BaseException as error:  # ctypes would print and drop it
            self._raised = error
            return ask

    def raise_again(self) -> None:
        """Raise what was raised in a call."""
        raised, self._raised = self._raised, None
        if raised:
            raise raised


def decode_s(probe: Probe, batch: int = 1) -> float:
    """Seconds of one step for `batch` slots, each at the probe's depth."""
    started = time.perf_counter()
    probe.step(batch)
    seconds = time.perf_counter() - started
    probe.forget()
    return seconds


def prefill_s(probe: Probe, tokens: int) -> float:
    """Seconds to read so many tokens behind those that the first slot holds, in slices of
    `n_batch`."""
    depth, n_batch = probe.depth, probe.params.n_batch
    started = time.perf_counter()
    for start in range(0, tokens, n_batch):
        probe.read(min(n_batch, tokens - start))
        probe.depth += min(n_batch, tokens - start)
    seconds = time.perf_counter() - started
    probe.depth = depth
    probe.forget()
    return seconds
