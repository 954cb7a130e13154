"""Hyperparameters in a header that no model has, alone or together.

The C library would take them unseen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

Value = int | float | bool | str

# Name -> the least and the largest that is no damage; where one is missing, llama.cpp has a
# default. It takes most of these unseen: a size of 0 hangs it, others abort it or give values that
# are no numbers. 512 is LLAMA_MAX_LAYERS.
RANGES: dict[str, tuple[float, float]] = {
    "block_count": (1, 512),
    "context_length": (1, 2**24),
    "embedding_length": (1, 2**20),
    "feed_forward_length": (0, 2**24),
    "attention.head_count": (1, 2**12),
    "attention.head_count_kv": (1, 2**12),
    "attention.key_length": (2, 2**12),
    "attention.value_length": (2, 2**12),
    "attention.layer_norm_epsilon": (0, 1),
    "attention.layer_norm_rms_epsilon": (0, 1),
    "rope.dimension_count": (2, 2**12),
    "rope.freq_base": (1e-3, 1e18),
    "rope.scaling.factor": (0, 1e6),
    "rope.scaling.original_context_length": (0, 2**31),
    "expert_count": (0, 2**16),
    "expert_used_count": (0, 2**16),
}
REQUIRED = ("block_count", "embedding_length", "attention.head_count", "context_length")


def impossible(architecture: str, metadata: Mapping[str, Value]) -> str | None:
    """What is wrong with the numbers in a header, as half a sentence; None if nothing is."""
    prefix = f"{architecture}."
    numbers = {
        key.removeprefix(prefix): value
        for key, value in metadata.items()
        if key.startswith(prefix) and not isinstance(value, str)
    }
    for name, value in numbers.items():
        least, most = RANGES.get(name, (-math.inf, math.inf))
        if not math.isfinite(value) or not least <= value <= most:
            return f"{prefix}{name} is {value}"
    for name in REQUIRED:
        if not isinstance(numbers.get(name), int):
            return f"{prefix}{name} is missing"
    return _together(prefix, {name: int(value) for name, value in numbers.items()})


def _together(prefix: str, numbers: Mapping[str, int]) -> str | None:
    heads, hidden = numbers["attention.head_count"], numbers["embedding_length"]
    kv_heads = numbers.get("attention.head_count_kv", heads)
    if heads % kv_heads:
        return f"{prefix}attention.head_count_kv is {kv_heads} beside {heads} heads"
    head_size = numbers.get("attention.key_length", hidden // heads)
    if head_size < 2 or head_size % 2:
        return f"the size of a head is {head_size}"
    rotated = numbers.get("rope.dimension_count", head_size)
    if rotated % 2 or rotated > head_size:
        return f"{prefix}rope.dimension_count is {rotated} in heads of {head_size}"
    return None
