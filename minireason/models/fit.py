"""Pure arithmetic: a model file, a machine and a wish -> how to load it, or why it does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from minireason.errors import BadSetting, DoesNotFit
from minireason.models.gguf import Header
from minireason.models.hardware import Hardware
from minireason.settings import LoadSettings

START_N_CTX = 1024
"""Tokens of KV cache to begin with; the engine grows it towards `FitPlan.n_ctx`."""

RUNTIME_BYTES = 160 * 2**20
"""Interpreter, libraries and llama.cpp's compute buffers at the batch size below."""

N_BATCH = 128
"""Tokens per decode call: a prefill slice on a CPU takes seconds beyond this, and cancelling waits for a slice."""


@dataclass(frozen=True, slots=True)
class FitPlan:
    """What was decided: `n_ctx` is the longest that one sequence may become, `cache_tokens` the limit that the cache of
    all sequences together may grow to, `needed_bytes` the memory at that size."""

    n_ctx: int
    cache_tokens: int
    start_n_ctx: int
    n_batch: int
    n_seq_max: int
    n_threads: int
    n_gpu_layers: int
    needed_bytes: int


def kv_bytes_per_token(header: Header) -> int:
    """Keys and values of one token in float16: 2 x layers x kv heads x head size x 2 bytes."""
    heads = header.number("attention.head_count")
    kv_heads = header.number("attention.head_count_kv", heads)
    head_size = header.number("attention.key_length", header.number("embedding_length") // heads)
    return 4 * header.number("block_count") * kv_heads * head_size


def plan(header: Header, hardware: Hardware, wish: LoadSettings) -> FitPlan:
    """How to load the file on this machine: the longest context within memory and training, or the one wished for.

    Raises DoesNotFit, or BadSetting for a context beyond what the model was trained for.
    """
    trained = header.number("context_length")
    if wish.n_ctx is not None and wish.n_ctx > trained:
        raise BadSetting("n_ctx", wish.n_ctx, f"the model was trained for a context of {trained} tokens at most")
    fixed = header.tensor_bytes + RUNTIME_BYTES
    per_token = kv_bytes_per_token(header)
    wanted = wish.n_ctx or min(START_N_CTX, trained)
    if fixed + wanted * per_token > hardware.free_bytes:
        advice = "ask for a smaller context" if fixed + 512 * per_token < hardware.free_bytes else "use a smaller model or a smaller quant"
        raise DoesNotFit(header.path.name, fixed + wanted * per_token, hardware.free_bytes, advice + ".")
    room = (hardware.free_bytes - fixed) // per_token
    n_ctx = wish.n_ctx or min(trained, room // 256 * 256)
    cache_tokens = wish.n_ctx or min(trained * wish.n_seq_max, room // 256 * 256)
    return FitPlan(
        n_ctx=n_ctx,
        cache_tokens=cache_tokens,
        start_n_ctx=min(START_N_CTX, n_ctx),
        n_batch=max(N_BATCH, wish.n_seq_max),
        n_seq_max=wish.n_seq_max,
        n_threads=wish.n_threads or hardware.cores,
        n_gpu_layers=-1 if wish.n_gpu_layers is None else wish.n_gpu_layers,
        needed_bytes=fixed + cache_tokens * per_token,
    )
