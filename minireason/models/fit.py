"""Pure arithmetic: a model's shape, a machine and a wish -> how to load it, or why it does not fit.

What a plan may do is tried out: a candidate is a whole plan with the memory it takes, and the best one that fits wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from minireason.errors import BadSetting, DoesNotFit
from minireason.host.hardware import Hardware
from minireason.models.shape import Shape
from minireason.settings import LAST_GROWTH, KvType, LoadSettings

START_N_CTX = 1024
"""Tokens of KV cache to begin with, and the least that a plan offers; the engine grows it towards `FitPlan.n_ctx`."""

ROOMY_N_CTX = 8192
"""A context that a chain of thought seldom outgrows: for less, the KV cache is quantized, or layers stay off the GPU."""

N_BATCH = 128
"""Tokens per decode call: a prefill slice on a CPU takes seconds beyond this, and cancelling waits for a slice."""

COMFORTABLE = 0.9
"""The share of free memory that a plan uses of its own accord; what is asked for may use all of it."""

RUNTIME_BYTES = 64 * 2**20
"""Interpreter, libraries and graphs: measured 59 MB on Linux, 68 MB with what the command line imports (bench/fit.py)."""

TOKEN_BYTES = 330
"""Vocabulary and merges in llama.cpp's maps, per token: measured 323 (SmolLM2, 49k) and 332 (R1-Distill-Qwen-7B, 152k)."""

GPU_RUNTIME_BYTES = 512 * 2**20
"""What a GPU's driver and libraries take on each GPU: a guess on the safe side, no GPU was at hand."""

EFFICIENCY, REPACKED_EFFICIENCY = 0.33, 0.45
"""Bytes of weights read per second while decoding, over the memory's bandwidth, as they are in the file and rearranged.

Measured on two cores of a Xeon with AVX-512 and 36 GB/s: 0.30 and 0.43 in the 1.5B shape, both Q4_K_M, 0.34 for SmolLM2-135M in
Q4_1. Unpacking 4-bit weights keeps two cores busy; with more cores for the bandwidth it is higher.
"""

_STEP = 256
_KV_BYTES_OF_32: dict[KvType, int] = {"f16": 64, "q8_0": 34, "q4_0": 18}
_QWEN2_FAMILY = frozenset({"qwen2", "qwen2moe"})


@dataclass(frozen=True, slots=True)
class FitPlan:
    """What was decided, and the memory it takes when the context is full.

    `n_ctx` is the limit that one sequence may grow to, `cache_tokens` that of the cache for sequences side by side,
    `n_gpu_layers` 0 on the CPU (the output counts as a layer). `needed_bytes`, with `n_ctx` tokens in the cache, is the sum
    of weights, KV cache, compute buffers, runtime (interpreter, libraries, vocabulary) and growth (what is in memory twice
    during the last step of growing); `vram_bytes` of it lie on the GPU. `tokens_per_s` is an estimate for one sequence,
    None without a measured bandwidth, on a GPU and for mixtures of experts. `repack`: weights rearranged for the CPU.
    """

    n_ctx: int
    cache_tokens: int
    start_n_ctx: int
    n_batch: int
    n_seq_max: int
    n_threads: int
    n_gpu_layers: int
    kv_type: KvType
    flash_attention: bool
    repack: bool
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    runtime_bytes: int
    growth_bytes: int
    needed_bytes: int
    vram_bytes: int
    tokens_per_s: float | None


def plan(name: str, shape: Shape, hardware: Hardware, wish: LoadSettings) -> FitPlan:
    """How to load a model on this machine: the longest comfortable context that it was trained for, or the one wished for.

    Without a wish the KV cache is float16, or q8_0 where float16 leaves no roomy context, and as many layers as fit go
    to the GPU. `name` is for the message. Raises DoesNotFit, or BadSetting for what the model cannot do.
    """
    _check(shape, wish)
    planner = _Planner(shape, hardware, wish)
    roomy = wish.n_ctx or min(ROOMY_N_CTX, shape.context)
    quantizable = wish.kv_type is None and shape.head_dim % 32 == 0
    kv_types: tuple[KvType, ...] = ("f16", "q8_0") if quantizable else (wish.kv_type or "f16",)
    found = None
    for kv_type in kv_types:
        found = planner.best(kv_type) or found
        if found and found.n_ctx >= roomy:
            return found if wish.n_ctx else planner.widened(found)
    if found is None:
        raise planner.refusal(name, kv_types[-1])
    return found


def kv_bytes_per_token(shape: Shape, kv_type: KvType = "f16") -> int:
    """Keys and values of one token in all layers: 2 x layers x kv heads x head size x bytes of a value."""
    return 2 * shape.layers * shape.kv_heads * shape.head_dim * _KV_BYTES_OF_32[kv_type] // 32


def compute_bytes(shape: Shape, n_ctx: int, n_batch: int, n_outputs: int, *, flash: bool) -> int:
    """llama.cpp's compute buffer of one device.

    The largest of three moments of the graph in float32: the feed-forward part (gate, up, their product, and four rows of
    the width of the model for each token), the logits beside the last states, or, without flash attention, the scores of
    all heads and their mask over the context. With it there is a float16 mask of n_batch x n_ctx all the time.
    """
    width = max(shape.hidden, shape.heads * shape.head_dim)
    feed_forward = n_batch * (3 * shape.feed_forward + 4 * width)
    logits = n_outputs * shape.vocab + n_batch * 2 * width
    if flash:
        return 2 * n_batch * n_ctx + 4 * max(feed_forward, logits)
    scores = n_batch * (n_ctx * (shape.heads + 1) + 5 * width + 2 * shape.kv_heads * shape.head_dim)
    return 4 * max(feed_forward, logits, scores)


def _check(shape: Shape, wish: LoadSettings) -> None:
    if wish.n_ctx is not None and wish.n_ctx > shape.context:
        raise BadSetting(
            "n_ctx",
            wish.n_ctx,
            f"the model was trained for a context of {shape.context} tokens at most",
        )
    if wish.kv_type == "q4_0" and shape.arch in _QWEN2_FAMILY:
        raise BadSetting(
            "kv_type",
            wish.kv_type,
            "4 bits ruin models of the Qwen2 family, whose keys vary too much; use q8_0",
        )
    if wish.kv_type not in (None, "f16") and shape.head_dim % 32:
        raise BadSetting(
            "kv_type",
            wish.kv_type,
            f"this model's heads of {shape.head_dim} values cannot be quantized; use f16",
        )


class _Planner:
    """Tries candidates for one model, machine and wish."""

    def __init__(self, shape: Shape, hardware: Hardware, wish: LoadSettings) -> None:
        self._shape, self._hardware, self._wish = shape, hardware, wish
        most = shape.layers + 1
        if not hardware.gpus:
            self._layers: Sequence[int] = (0,)
        elif wish.n_gpu_layers is None:
            self._layers = range(most, -1, -1)
        else:
            self._layers = (most if wish.n_gpu_layers < 0 else min(wish.n_gpu_layers, most),)

    def best(self, kv_type: KvType) -> FitPlan | None:
        """The plan of the wished for context, else of the longest comfortable one, else of the least one; None if none fits.

        On a GPU all layers come before a context that is more than roomy.
        """
        if self._wish.n_ctx:
            return self._fitting(self._wish.n_ctx, kv_type, 1.0)
        roomy = min(ROOMY_N_CTX, self._shape.context)
        n_ctx = self._longest(kv_type, COMFORTABLE, self._layers[:1])
        if n_ctx < roomy and len(self._layers) > 1:
            n_ctx = min(roomy, self._longest(kv_type, COMFORTABLE, self._layers))
        least = min(START_N_CTX, self._shape.context)
        return (
            self._fitting(n_ctx, kv_type, COMFORTABLE)
            if n_ctx >= least
            else self._fitting(least, kv_type, 1.0)
        )

    def widened(self, chosen: FitPlan) -> FitPlan:
        """The plan with a cache for sequences side by side: of what is comfortable beyond one full context, on the CPU."""
        spare = int(COMFORTABLE * self._hardware.free_bytes) - chosen.needed_bytes
        if chosen.n_ctx < self._shape.context or chosen.n_gpu_layers or spare <= 0:
            return chosen
        # a token costs its keys and values, its share of the copy while the cache grows, and a column of scores
        per_token = 2 * kv_bytes_per_token(self._shape, chosen.kv_type) + 4 * chosen.n_batch * (
            self._shape.heads + 1
        )
        return replace(
            chosen,
            cache_tokens=min(
                chosen.n_ctx * chosen.n_seq_max, chosen.n_ctx + spare // per_token // _STEP * _STEP
            ),
        )

    def refusal(self, name: str, kv_type: KvType) -> DoesNotFit:
        """Why nothing fits, in numbers, and what would."""
        gpus = self._hardware.gpus
        n_ctx = self._wish.n_ctx or min(START_N_CTX, self._shape.context)
        candidate = self._candidate(n_ctx, kv_type, self._layers[0])
        vram = sum(gpu.free_bytes for gpu in gpus)
        if self._wish.n_gpu_layers and candidate.vram_bytes > vram:
            fewer = range(candidate.n_gpu_layers - 1, -1, -1)
            most = next(
                (
                    count
                    for count in fewer
                    if self._fits(self._candidate(n_ctx, kv_type, count), 1.0)
                ),
                None,
            )
            if most is not None:
                return DoesNotFit(
                    name,
                    candidate.vram_bytes,
                    vram,
                    f"put at most {most} layers on the GPU (n_gpu_layers).",
                )
        longest = self._longest(kv_type, 1.0, self._layers)
        advice = (
            f"ask for a context of at most {longest} tokens."
            if longest
            else "use a smaller model or a smaller quant."
        )
        free = self._hardware.free_bytes + sum(gpu.free_bytes for gpu in gpus if not gpu.unified)
        return DoesNotFit(name, candidate.needed_bytes, free, advice)

    def _longest(self, kv_type: KvType, share: float, layers: Sequence[int]) -> int:
        """The longest context that fits with one of these numbers of layers on the GPU, 0 if none does."""
        trained = self._shape.context
        low, high = 0, -(-trained // _STEP)
        while low < high:
            middle = (low + high + 1) // 2
            fits = any(
                self._fits(self._candidate(min(trained, middle * _STEP), kv_type, count), share)
                for count in layers
            )
            low, high = (middle, high) if fits else (low, middle - 1)
        return min(trained, low * _STEP)

    def _fitting(self, n_ctx: int, kv_type: KvType, share: float) -> FitPlan | None:
        candidates = (self._candidate(n_ctx, kv_type, count) for count in self._layers)
        return next((candidate for candidate in candidates if self._fits(candidate, share)), None)

    def _fits(self, candidate: FitPlan, share: float) -> bool:
        gpus = self._hardware.gpus
        in_ram = candidate.needed_bytes - (
            0 if any(gpu.unified for gpu in gpus) else candidate.vram_bytes
        )
        return in_ram <= share * self._hardware.free_bytes and candidate.vram_bytes <= share * sum(
            gpu.free_bytes for gpu in gpus
        )

    def _candidate(self, n_ctx: int, kv_type: KvType, n_gpu_layers: int) -> FitPlan:
        shape, wish = self._shape, self._wish
        per_token = kv_bytes_per_token(shape, kv_type)
        start = min(START_N_CTX, n_ctx)
        n_batch = max(N_BATCH, wish.n_seq_max)
        # On a CPU it is slower (the 1.5B shape: 5 to 25% in prefill, -3 to +5% in decode), but with small heads 7 to 12% faster, unless
        # llama.cpp was built for AVX-512: there it doubles the time of SmolLM2 at 1,100 tokens. Quantized values need it.
        small_heads = shape.head_dim < 128 and "AVX512" not in self._hardware.built_for
        flash = bool(n_gpu_layers) or kv_type != "f16" or small_heads
        # 1.4 to 1.5 times faster, with AVX2 and AVX-512. With a GPU llama.cpp does not do it.
        repack = (
            shape.repackable if wish.repack is None else wish.repack
        ) and not self._hardware.gpus
        compute = compute_bytes(shape, n_ctx, n_batch, wish.n_seq_max, flash=flash)
        gpus = len(self._hardware.gpus) if n_gpu_layers else 0
        weights, on_gpu = _weights(shape, n_gpu_layers)
        kv = -(-n_ctx // _STEP) * _STEP * per_token
        compute_all = compute * (1 + gpus) + wish.n_seq_max * shape.vocab * 4
        runtime = RUNTIME_BYTES + shape.vocab * TOKEN_BYTES + gpus * GPU_RUNTIME_BYTES
        growth = max(start, n_ctx // LAST_GROWTH) * per_token if start < n_ctx else 0
        return FitPlan(
            n_ctx=n_ctx,
            cache_tokens=n_ctx,
            start_n_ctx=start,
            n_batch=n_batch,
            n_seq_max=wish.n_seq_max,
            n_threads=wish.n_threads or self._hardware.cores,
            n_gpu_layers=n_gpu_layers,
            kv_type=kv_type,
            flash_attention=flash,
            repack=repack,
            weights_bytes=weights,
            kv_bytes=kv,
            compute_bytes=compute_all,
            runtime_bytes=runtime,
            growth_bytes=growth,
            needed_bytes=weights + kv + compute_all + runtime + growth,
            vram_bytes=on_gpu
            + kv * max(0, n_gpu_layers - 1) // shape.layers
            + gpus * (compute + GPU_RUNTIME_BYTES),
            tokens_per_s=None
            if n_gpu_layers
            else _tokens_per_s(shape, self._hardware.bandwidth_bytes_per_s, repack),
        )


def _weights(shape: Shape, n_gpu_layers: int) -> tuple[int, int]:
    """Bytes of the weights in all, and on the GPU: the output goes first, twice in memory if it is tied, then the last layers."""
    if not n_gpu_layers:
        return shape.weight_bytes, 0
    embedding = _embedding_bytes(shape)
    layers = shape.weight_bytes - embedding * (1 if shape.tied else 2)
    return shape.weight_bytes + embedding * shape.tied, embedding + layers * (
        n_gpu_layers - 1
    ) // shape.layers


def _embedding_bytes(shape: Shape) -> int:
    """The token embedding, if all matrices have the same number of bits per value."""
    attention = 2 * shape.hidden * shape.head_dim * (shape.heads + shape.kv_heads)
    layers = shape.layers * (attention + 3 * shape.hidden * shape.feed_forward)
    embedding = shape.vocab * shape.hidden
    return shape.weight_bytes * embedding // (layers + embedding * (1 if shape.tied else 2))


def _tokens_per_s(shape: Shape, bandwidth: float | None, repacked: bool) -> float | None:
    """Each token reads all weights once, but of an embedding that is not the output one row only."""
    if bandwidth is None or shape.arch.endswith("moe"):
        return None
    efficiency = REPACKED_EFFICIENCY if repacked and shape.repackable else EFFICIENCY
    return (
        efficiency
        * bandwidth
        / (shape.weight_bytes - (0 if shape.tied else _embedding_bytes(shape)))
    )
