"""Pure arithmetic: what a model of some shape takes of memory, and how fast it decodes."""

from __future__ import annotations

from minireason.models.shape import Shape
from minireason.settings import KvType

RUNTIME_BYTES = 64 * 2**20
"""Interpreter, libraries and graphs.

Measured 59 MB on Linux, 68 MB with what the command line imports (bench/fit.py).
"""

TOKEN_BYTES = 330
"""Vocabulary and merges in llama.cpp's maps, per token.

Measured 323 (SmolLM2, 49k) and 332 (R1-Distill-Qwen-7B, 152k).
"""

GPU_RUNTIME_BYTES = 512 * 2**20
"""What a GPU's driver and libraries take on each GPU: a guess on the safe side."""

EFFICIENCY, REPACKED_EFFICIENCY = 0.33, 0.45
"""Bytes of weights read per second while decoding, over the memory's bandwidth.

As the weights are in the file, and rearranged. Measured on two cores of a Xeon with AVX-512 and
36 GB/s: 0.30 and 0.43 in the 1.5B shape, both Q4_K_M, 0.34 for SmolLM2-135M in Q4_1. Unpacking
4-bit weights keeps two cores busy; with more cores for the bandwidth it is higher.
"""

KV_STEP_TOKENS = 256
"""llama.cpp makes a KV cache of a multiple of this."""

_KV_BYTES_OF_32: dict[KvType, int] = {"f16": 64, "q8_0": 34, "q4_0": 18}


def kv_bytes_per_token(shape: Shape, kv_type: KvType = "f16") -> int:
    """Keys and values of one token: 2 x layers x kv heads x head size x bytes of a value."""
    return 2 * shape.layers * shape.kv_heads * shape.head_dim * _KV_BYTES_OF_32[kv_type] // 32


def kv_bytes(shape: Shape, n_ctx: int, kv_type: KvType) -> int:
    """The KV cache of a context."""
    return -(-n_ctx // KV_STEP_TOKENS) * KV_STEP_TOKENS * kv_bytes_per_token(shape, kv_type)


def compute_bytes(shape: Shape, n_ctx: int, n_batch: int, n_outputs: int, *, flash: bool) -> int:
    """llama.cpp's compute buffer of one device.

    The largest of three moments of the graph in float32: the feed-forward part (gate, up, their
    product, and four rows of the width of the model for each token), the logits beside the last
    states, or, without flash attention, the scores of all heads and their mask over the context.
    With it there is a float16 mask of n_batch x n_ctx all the time.
    """
    width = max(shape.hidden, shape.heads * shape.head_dim)
    feed_forward = n_batch * (3 * shape.feed_forward + 4 * width)
    logits = n_outputs * shape.vocab + n_batch * 2 * width
    if flash:
        return 2 * n_batch * n_ctx + 4 * max(feed_forward, logits)
    scores = n_batch * (n_ctx * (shape.heads + 1) + 5 * width + 2 * shape.kv_heads * shape.head_dim)
    return 4 * max(feed_forward, logits, scores)


def weights_bytes(shape: Shape, n_gpu_layers: int) -> tuple[int, int]:
    """Bytes of the weights in all, and of those on the GPU.

    The output goes to the GPU first, and is twice in memory if it is tied; then the last layers.
    """
    if not n_gpu_layers:
        return shape.weight_bytes, 0
    embedding = _embedding_bytes(shape)
    layers = shape.weight_bytes - embedding * _embeddings(shape)
    on_gpu = embedding + layers * (n_gpu_layers - 1) // shape.layers
    return shape.weight_bytes + embedding * shape.tied, on_gpu


def tokens_per_s(shape: Shape, bandwidth: float | None, *, repacked: bool) -> float | None:
    """Decoding speed of one sequence on the CPU; None without a bandwidth, and for mixtures."""
    read = read_bytes(shape)
    if bandwidth is None or read is None:
        return None
    efficiency = REPACKED_EFFICIENCY if repacked and shape.repackable else EFFICIENCY
    return efficiency * bandwidth / read


def read_bytes(shape: Shape) -> int | None:
    """Bytes of weights that each token reads; None for a mixture of experts, which reads some.

    All weights once, but of an embedding that is not the output one row only.
    """
    if shape.arch.endswith("moe"):
        return None
    return shape.weight_bytes - (0 if shape.tied else _embedding_bytes(shape))


def parameters(shape: Shape) -> int:
    """How many parameters a dense model of this shape has, norms and biases left out."""
    return _layer_parameters(shape) + shape.vocab * shape.hidden * _embeddings(shape)


def _embeddings(shape: Shape) -> int:
    """Matrices of the vocabulary's size: the token embedding, and the output if it is another."""
    return 1 if shape.tied else 2


def _layer_parameters(shape: Shape) -> int:
    attention = 2 * shape.hidden * shape.head_dim * (shape.heads + shape.kv_heads)
    return shape.layers * (attention + 3 * shape.hidden * shape.feed_forward)


def _embedding_bytes(shape: Shape) -> int:
    """The token embedding, if all matrices have the same number of bits per value."""
    return shape.weight_bytes * shape.vocab * shape.hidden // parameters(shape)
