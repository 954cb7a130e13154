"""How a context of llama.cpp computes, and the making of one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from minireason.engine.handle import Handle
from minireason.engine.interruption import DeferredInterrupt
from minireason.engine.library import C, clear_log, fill, log_tail
from minireason.engine.model import Model
from minireason.engine.room import CacheShape
from minireason.engine.stop_flag import StopFlag
from minireason.errors import EngineError
from minireason.settings import KvType


@dataclass(frozen=True, slots=True)
class ContextParams:
    """What stays the same when a context is made larger or smaller."""

    n_batch: int
    """Tokens of a batch at most."""

    n_ubatch: int
    """Tokens that the kernels take at once."""

    n_threads: int
    """Threads on the CPU."""

    kv_type: KvType = "f16"
    """How the KV cache is stored."""

    flash_attention: bool = False
    """Whether attention is computed in blocks; quantized values are always."""

    @property
    def flash(self) -> bool:
        """Whether attention is computed in blocks, as it is."""
        return self.flash_attention or self.kv_type != "f16"

    def open(self, model: Model, shape: CacheShape, stop: StopFlag, on_node: Any = None) -> Handle:
        """Make a context, each slot a stream of its own; raises EngineError without memory.

        `on_node` is llama.cpp's callback for each node of a graph.
        """
        clear_log()
        owner = model.owner
        kv_type = getattr(C, f"GGML_TYPE_{self.kv_type.upper()}")
        flash = "ENABLED" if self.flash else "DISABLED"
        params = fill(
            C.llama_context_default_params(),
            n_ctx=shape.n_slots * shape.padded_slot_tokens,
            n_batch=self.n_batch,
            n_ubatch=self.n_ubatch,
            n_seq_max=shape.n_slots,
            n_outputs_max=shape.n_outputs,
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
                f"llama.cpp could not make a context of {shape.n_slots} x {shape.slot_tokens} "
                f"tokens ({log_tail() or 'not enough memory?'}); ask for a smaller one."
            )
        return handle
