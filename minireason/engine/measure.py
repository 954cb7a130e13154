"""How long decodes take here: short-lived contexts over an open model, and what times them.

What they compute means nothing, and takes as long as if it did: no kernel of llama.cpp looks at the
values. So the tokens that a decode attends to need not be read before, which for thousands would
take half a minute, and of a large model its first layers stand for all.
"""

from __future__ import annotations

import ctypes
import functools
import time
from dataclasses import dataclass, replace
from typing import Any

from minireason.closing import Closing
from minireason.engine.handle import Handle, starts_threads
from minireason.engine.library import C, clear_log, fill, log_tail, name_of_tensor
from minireason.engine.model import Model
from minireason.errors import DecodeFailed, EngineError
from minireason.settings import KvType

_TOKEN = 1
"""Any token will do."""

_SLICE, _PADDING = 512, 256
"""Tokens that are put into a slot at a time, and of which a slot has a multiple."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computation:
    """How a context computes."""

    n_threads: int
    """Threads on the CPU."""

    flash_attention: bool
    """Whether attention is computed in blocks, without its scores in memory."""

    n_batch: int = 512
    """Tokens of a decode at most."""

    n_ubatch: int = 128
    """Tokens that are computed at once (micro-batch)."""

    kv_type: KvType = "f16"
    """How the KV cache is stored."""


class Probe(Closing):
    """A KV cache over the first `layers` layers of a model; None: over all and the output.

    It has `n_slots` slots of `slot_tokens` tokens, each a stream of its own, and closes as a
    context manager. Raises EngineError where there is no memory for it.
    """

    def __init__(
        self,
        model: Model,
        computation: Computation,
        *,
        n_slots: int = 1,
        slot_tokens: int = 512,
        layers: int | None = None,
    ) -> None:
        self.n_slots, self.slot_tokens, self.computation = n_slots, slot_tokens, computation
        self._model = model
        self._stop = None if layers is None else _StopAfter(layers)
        self.depth = 0
        if computation.n_threads > 1:
            starts_threads()
        self._handle = self._open()
        self._rows = _Rows(max(n_slots, computation.n_batch))

    def _open(self) -> Handle:
        clear_log()
        owner, computation = self._model.owner, self.computation
        kv_type = getattr(C, f"GGML_TYPE_{computation.kv_type.upper()}")
        flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if computation.flash_attention:
            flash_attn_type = C.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params = fill(
            C.llama_context_default_params(),
            n_ctx=self.n_slots * self.slot_tokens,
            n_batch=max(self.n_slots, computation.n_batch),
            n_ubatch=max(self.n_slots, computation.n_ubatch),
            n_seq_max=self.n_slots,
            n_outputs_max=self.n_slots,
            n_threads=computation.n_threads,
            n_threads_batch=computation.n_threads,
            type_k=kv_type,
            type_v=kv_type,
            flash_attn_type=flash_attn_type,
            kv_unified=False,
            no_perf=True,
        )
        if self._stop:
            fill(params, cb_eval=self._stop.callback)
        make = functools.partial(C.llama_init_from_model, owner.pointer, params)
        handle = Handle(make, C.llama_free, owner)
        if not handle.is_open:
            raise EngineError(
                f"llama.cpp could not make a context to measure with "
                f"({log_tail() or 'not enough memory?'})."
            )
        return handle

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
        like, padded = self.computation, -(-depth // _PADDING) * _PADDING
        like = replace(like, n_batch=_SLICE, n_ubatch=_SLICE)
        with Probe(self._model, like, n_slots=self.n_slots, slot_tokens=padded, layers=0) as blank:
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
        positions = range(self.depth, self.depth + tokens)
        self._decode(list(positions), [0] * tokens, [*[0] * (tokens - 1), 1])

    def step(self, batch: int) -> None:
        """Decode a token of each of the first `batch` slots."""
        self._decode([self.depth] * batch, list(range(batch)), [1] * batch)

    def forget(self) -> None:
        """Forget what was read behind the `depth` tokens of each slot."""
        self._cut(self.depth)

    def _cut(self, keep: int) -> None:
        with self._handle.lock:
            owner = self._handle.get()
            memory = C.llama_get_memory(owner.pointer)
            for slot in range(self.n_slots):
                C.llama_memory_seq_rm(memory, slot, keep, -1)

    def _decode(self, positions: list[int], slots: list[int], outputs: list[int]) -> None:
        """Compute a batch to its end; raises DecodeFailed."""
        if sum(outputs) > self.n_slots or max(slots, default=0) >= self.n_slots:
            raise ValueError("a batch that would abort inside llama.cpp")
        batch = self._rows.filled(positions, slots, outputs)
        with self._handle.lock:
            owner = self._handle.get()
            status = C.llama_decode(owner.pointer, batch)
            C.llama_synchronize(owner.pointer)
        if self._stop:
            self._stop.raise_again()
        if status:
            raise DecodeFailed(status, log_tail())


class _Rows:
    """A batch of llama.cpp with room for so many tokens."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._token, self._pos = (C.llama_token * size)(*[_TOKEN] * size), (C.llama_pos * size)()
        self._seq = (C.llama_seq_id * size)()
        self._output: Any = (ctypes.c_int8 * size)()
        self._n_seq = (ctypes.c_int32 * size)(*[1] * size)
        width, kind = ctypes.sizeof(C.llama_seq_id), ctypes.POINTER(C.llama_seq_id)
        start = ctypes.addressof(self._seq)
        self._seqs = (kind * size)(*(ctypes.cast(start + row * width, kind) for row in range(size)))
        self._batch = fill(
            C.llama_batch(),
            token=self._token,
            pos=self._pos,
            n_seq_id=self._n_seq,
            seq_id=self._seqs,
            logits=ctypes.cast(self._output, ctypes.POINTER(ctypes.c_int8)),
        )

    def filled(self, positions: list[int], slots: list[int], outputs: list[int]) -> Any:
        """The batch with these rows; raises ValueError for more than there is room for."""
        count = len(positions)
        if not 0 < count <= self._size:
            raise ValueError("a batch that would abort inside llama.cpp")
        self._pos[:count], self._seq[:count] = positions, slots
        self._output[:count] = outputs
        self._batch.n_tokens = count
        return self._batch


class _StopAfter:
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
    depth, n_batch = probe.depth, probe.computation.n_batch
    started = time.perf_counter()
    for start in range(0, tokens, n_batch):
        probe.read(min(n_batch, tokens - start))
        probe.depth += min(n_batch, tokens - start)
    seconds = time.perf_counter() - started
    probe.depth = depth
    probe.forget()
    return seconds
