"""The KV cache of a model as it was planned."""

from __future__ import annotations

from minireason.engine.context import Context
from minireason.engine.context_params import ContextParams
from minireason.engine.model import Model
from minireason.engine.room import CacheRoom, CacheShape
from minireason.models.plan import FitPlan


def params_of(plan: FitPlan) -> ContextParams:
    """How a plan computes."""
    return ContextParams(
        n_batch=plan.n_batch,
        n_ubatch=plan.n_ubatch,
        n_threads=plan.n_threads,
        kv_type=plan.kv_type,
        flash_attention=plan.flash_attention,
    )


def open_context(model: Model, plan: FitPlan) -> Context:
    """The context that a plan begins with, of one slot; raises EngineError without memory."""
    shape = CacheShape(1, plan.start_n_ctx)
    return Context(model, shape, params_of(plan), adapt_threads=plan.adapt_threads)


def cache_room(plan: FitPlan) -> CacheRoom:
    """How large the cache of a plan may become."""
    return CacheRoom(
        n_ctx=plan.n_ctx,
        max_tokens=plan.cache_tokens,
        start_tokens=plan.start_n_ctx,
        spare_tokens=plan.spare_tokens,
        max_slots=plan.n_seq_max,
    )
