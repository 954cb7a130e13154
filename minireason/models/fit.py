"""Pure arithmetic: a model's shape, a machine and a wish -> how to load it, or why it does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.errors import BadSetting, DoesNotFit
from minireason.models.hardware import Hardware
from minireason.models.shape import Shape
from minireason.settings import KvType, LoadSettings

START_N_CTX = 1024
"""Tokens of KV cache to begin with; the engine grows it towards `FitPlan.n_ctx`."""

N_BATCH = 128
"""Tokens per decode call: a prefill slice on a CPU takes seconds beyond this, and cancelling waits for a slice."""

COMFORTABLE = 0.9
"""The share of free memory that a plan uses of its own accord."""


@dataclass(frozen=True, slots=True)
class FitPlan:
    """What was decided, and the memory it takes when the context is full, which is the most it ever takes.

    `n_ctx` is the limit that the context may grow to, `n_gpu_layers` 0 on the CPU. `needed_bytes` is the sum of weights,
    KV cache, compute buffers, runtime (interpreter and libraries) and growth (what the last step of growing holds twice);
    `vram_bytes` of it lie on the GPU. `tokens_per_s` is an estimate for one sequence, None without a measured bandwidth.
    `repack`: weights rearranged for the CPU, which costs memory; never chosen so far.
    """

    n_ctx: int
    start_n_ctx: int
    n_batch: int
    n_seq_max: int
    n_threads: int
    n_gpu_layers: int
    kv_type: KvType
    repack: bool
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    runtime_bytes: int
    growth_bytes: int
    needed_bytes: int
    vram_bytes: int
    tokens_per_s: float | None


def kv_bytes_per_token(shape: Shape, kv_type: KvType = "f16") -> int:
    """Keys and values of one token in all layers: 2 x layers x kv heads x head size x bytes of a value."""
    return 2 * shape.layers * shape.kv_heads * shape.head_dim * _KV_BYTES_OF_32[kv_type] // 32


def plan(name: str, shape: Shape, hardware: Hardware, wish: LoadSettings) -> FitPlan:
    """How to load a model on this machine: the longest comfortable context that it was trained for, or the one wished for.

    `name` is for the message. Raises DoesNotFit, or BadSetting for a context beyond what the model was trained for.
    """
    kv_type = wish.kv_type or "f16"
    if wish.n_ctx is not None and wish.n_ctx > shape.context:
        raise BadSetting("n_ctx", wish.n_ctx, f"the model was trained for a context of {shape.context} tokens at most")
    compute = N_BATCH * shape.hidden * 4 * 4 + wish.n_seq_max * shape.vocab * 4
    fixed = shape.weight_bytes + RUNTIME_BYTES + compute
    per_token = kv_bytes_per_token(shape, kv_type)
    wanted = wish.n_ctx or min(START_N_CTX, shape.context)
    if fixed + wanted * per_token > hardware.free_bytes:
        advice = "ask for a smaller context" if fixed + 512 * per_token < hardware.free_bytes else "use a smaller model or a smaller quant"
        raise DoesNotFit(name, fixed + wanted * per_token, hardware.free_bytes, advice + ".")
    room = (hardware.free_bytes - fixed) // per_token
    n_ctx = wish.n_ctx or min(shape.context, room // 256 * 256)
    return FitPlan(
        n_ctx=n_ctx,
        start_n_ctx=min(START_N_CTX, n_ctx),
        n_batch=max(N_BATCH, wish.n_seq_max),
        n_seq_max=wish.n_seq_max,
        n_threads=wish.n_threads or hardware.cores,
        n_gpu_layers=wish.n_gpu_layers or 0,
        kv_type=kv_type,
        repack=False,
        weights_bytes=shape.weight_bytes,
        kv_bytes=n_ctx * per_token,
        compute_bytes=compute,
        runtime_bytes=RUNTIME_BYTES,
        growth_bytes=0,
        needed_bytes=fixed + n_ctx * per_token,
        vram_bytes=0,
        tokens_per_s=None,
    )


_KV_BYTES_OF_32: dict[KvType, int] = {"f16": 64, "q8_0": 34, "q4_0": 18}

RUNTIME_BYTES = 120 * 2**20
"""Interpreter and libraries."""
