"""Small contexts of the real library."""

from __future__ import annotations

from minireason.engine.context import Context
from minireason.engine.context_params import ContextParams
from minireason.engine.model import Model
from minireason.engine.room import CacheShape


def small(model: Model, n_slots: int = 1, *, n_threads: int = 1) -> Context:
    """Slots of 256 tokens, and batches of 8."""
    return Context(model, CacheShape(n_slots, 256), ContextParams(8, 8, n_threads))
