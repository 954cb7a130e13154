"""How large a context of llama.cpp is and how it computes, and the making of one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

from minireason.engine.handle import Handle
from minireason.engine.interruption import DeferredInterrupt
from minireason.engine.library import C, clear_log, fill, log_tail
from minireason.engine.model import Model
from minireason.engine.stop_flag import StopFlag
from minireason.errors import EngineError
from minireason.settings import KvType

_STREAM_STEP_TOKENS = 256
"""llama.cpp makes each slot's part of the cache a multiple of this."""

_LEAST_OUTPUTS = 16
"""Rows of logits of a batch at least, for the tokens of a draft in one slot."""


class ContextSize(NamedTuple):
    """So many slots of so many tokens each."""

    n_slots: int
    slot_tokens: int

    @property
    def stream_tokens(self) -> int:
        """The tokens that llama.cpp makes room for in each slot."""
        return -(-self.slot_tokens // _STREAM_STEP_TOKENS) * _STREAM_STEP_TOKENS

    @property
    def n_outputs(self) -> int:
        """Rows of logits of a batch at most; few of them keep the compute buffer small."""
        return max(self.n_slots, _LEAST_OUTPUTS)


@dataclass(frozen=True, slots=True)
class ContextParams:
    """What stays the same when a context is made larger or smaller."""

    n_batch: int
    """Tokens of a batch at most."""

    n_ubatch: int
    """Tokens that the kernels take at once."""

    n_threads: int
    """Threads on the CPU."""

    kv_type: KvType
    """How the KV cache is stored."""

    flash_attention: bool
    """Whether attention is computed in blocks."""

    def open(self, model: Model, size: ContextSize, stop: StopFlag, on_node: Any = None) -> Handle:
        """Make a context, each slot a stream of its own; raises EngineError without memory.

        `on_node` is llama.cpp's callback for each node of a graph.
        """
        clear_log()
        owner = model.owner
        kv_type = getattr(C, f"GGML_TYPE_{self.kv_type.upper()}")
        flash = "ENABLED" if self.flash_attention else "DISABLED"
        params = fill(
            C.llama_context_default_params(),
            n_ctx=size.n_slots * size.stream_tokens,
            n_batch=self.n_batch,
            n_ubatch=self.n_ubatch,
            n_seq_max=size.n_slots,
            n_outputs_max=size.n_outputs,
            n_threads=self.n_threads,
            n_threads_batch=self.n_threads,
            type_k=kv_type,
            type_v=kv_type,
            flash_attn_type=getattr(C, f"LLAMA_FLASH_ATTN_TYPE_{flash}"),
            abort_callback=stop.callback,
            abort_callback_data=stop.data,
            kv_unified=False,
            no_perf=True,
        )
        if on_node:
            fill(params, cb_eval=on_node)
        make = functools.partial(C.llama_init_from_model, owner.pointer, params)
        with DeferredInterrupt():
            handle = Handle(make, C.llama_free, owner)
        if not handle.is_open:
            raise EngineError(
                f"llama.cpp could not make a context of {size.n_slots} x {size.slot_tokens} tokens "
                f"({log_tail() or 'not enough memory?'}); ask for a smaller one."
            )
        return handle
