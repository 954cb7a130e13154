"""Pure arithmetic: a model's shape, a machine and settings -> how to load it, or why not.

What a plan may do is tried out: a candidate is a whole plan with the memory it takes, and the best
one that fits wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from minireason.errors import BadSetting, DoesNotFit
from minireason.host.hardware import Hardware
from minireason.models import cost
from minireason.models.computation import Rules
from minireason.models.shape import Shape
from minireason.models.tuned import StepCosts, Tuned
from minireason.settings import KvType, LoadSettings

START_N_CTX = 1024
"""Tokens of KV cache to begin with, and the least that a plan offers.

The engine grows the cache towards `FitPlan.n_ctx`.
"""

ROOMY_N_CTX = 8192
"""A context that a chain of thought seldom outgrows.

For less, the KV cache is quantized, or layers stay off the GPU.
"""

SPARE_PART = 4
"""This part of a full KV cache may be in memory beside it: prompts that are parked, and what is
moved while the cache grows."""

COMFORTABLE = 0.9
"""The share of free memory that a plan uses of its own accord; a request may use all of it."""

_QWEN2_FAMILY = frozenset({"qwen2", "qwen2moe"})


@dataclass(frozen=True, slots=True)
class FitPlan:
    """What was decided, and the memory it takes when the context is full."""

    n_ctx: int
    """The limit in tokens that one sequence may grow to."""

    cache_tokens: int
    """The limit of the KV cache, for sequences side by side."""

    start_n_ctx: int
    """Tokens of KV cache to begin with."""

    n_batch: int
    """Tokens per decode call."""

    n_ubatch: int
    """Tokens that are computed at once (micro-batch)."""

    n_seq_max: int
    """Sequences in one batch."""

    n_threads: int
    """Threads on the CPU; the most where they are adapted."""

    adapt_threads: bool
    """Whether fewer threads compute while other programs keep cores busy."""

    n_gpu_layers: int
    """Layers on the GPU, of which the output counts as one; 0 on the CPU."""

    kv_type: KvType
    """How the KV cache is stored."""

    flash_attention: bool
    """Whether attention is computed in blocks, without its scores in memory."""

    repack: bool
    """Whether the weights are rearranged for the CPU."""

    weights_bytes: int
    """The weights."""

    kv_bytes: int
    """The KV cache with `n_ctx` tokens."""

    compute_bytes: int
    """The compute buffers of all devices, and the logits."""

    runtime_bytes: int
    """Interpreter, libraries and vocabulary."""

    spare_tokens: int
    """Tokens in memory beside the KV cache: prompts that were saved, and what moves as it grows."""

    growth_bytes: int
    """The memory of these."""

    needed_bytes: int
    """The sum of the five."""

    vram_bytes: int
    """The part of it on the GPU."""

    tokens_per_s: float | None
    """An estimate of the decoding speed of one sequence.

    None without a measured bandwidth, on a GPU and for mixtures of experts.
    """

    step_costs: StepCosts | None = None
    """What steps for several tokens cost; None where it was not measured here."""


NOTHING_MEASURED: Mapping[KvType, Tuned] = {}


def plan(
    name: str,
    shape: Shape,
    hardware: Hardware,
    requested: LoadSettings,
    measured: Mapping[KvType, Tuned] = NOTHING_MEASURED,
) -> FitPlan:
    """How to load a model on this machine: with the context requested, or the longest one.

    The longest comfortable one, that is, that the model was trained for. If nothing else is
    requested, the KV cache is float16, or q8_0 where float16 leaves no roomy context, and as many
    layers as fit go to the GPU. What was `measured` to be faster on this CPU, for each kind of KV
    cache, goes before the rules here, unless something reproducible or another number of threads is
    requested. `name` is for the message. Raises DoesNotFit, or BadSetting for what the model cannot
    do.
    """
    _check(shape, requested)
    planner = _Planner(shape, hardware, requested, measured)
    roomy = requested.n_ctx or min(ROOMY_N_CTX, shape.context)
    quantizable = requested.kv_type is None and shape.head_dim % 32 == 0
    kv_types: tuple[KvType, ...] = (requested.kv_type or "f16",)
    if quantizable:
        kv_types = ("f16", "q8_0")
    chosen = None
    for kv_type in kv_types:
        chosen = planner.best(kv_type) or chosen
        if chosen and chosen.n_ctx >= roomy:
            return chosen if requested.n_ctx else planner.widened(chosen)
    if chosen is None:
        raise planner.refusal(name, kv_types[-1])
    return chosen


def _check(shape: Shape, requested: LoadSettings) -> None:
    kv_type = requested.kv_type
    if requested.n_ctx is not None and requested.n_ctx > shape.context:
        problem = f"the model was trained for a context of {shape.context} tokens at most"
        raise BadSetting("n_ctx", requested.n_ctx, problem)
    if kv_type == "q4_0" and shape.arch in _QWEN2_FAMILY:
        problem = "4 bits ruin models of the Qwen2 family, whose keys vary too much; use q8_0"
        raise BadSetting("kv_type", kv_type, problem)
    if kv_type not in (None, "f16") and shape.head_dim % 32:
        problem = f"this model's heads of {shape.head_dim} values cannot be quantized; use f16"
        raise BadSetting("kv_type", kv_type, problem)


class _Planner:
    """A search for the best plan for one model, machine and request."""

    def __init__(
        self,
        shape: Shape,
        hardware: Hardware,
        requested: LoadSettings,
        measured: Mapping[KvType, Tuned],
    ) -> None:
        self._shape, self._hardware, self._requested = shape, hardware, requested
        self._rules = Rules(shape, hardware, requested, measured)
        most = shape.layers + 1
        if not hardware.gpus:
            self._layers: Sequence[int] = (0,)
        elif requested.n_gpu_layers is None:
            self._layers = range(most, -1, -1)
        elif requested.n_gpu_layers < 0:
            self._layers = (most,)
        else:
            self._layers = (min(requested.n_gpu_layers, most),)

    def best(self, kv_type: KvType) -> FitPlan | None:
        """The plan with the context requested, else with the longest comfortable one.

        Where that is none, with the least one; None if none fits. On a GPU all layers come before a
        context that is more than roomy.
        """
        if self._requested.n_ctx:
            return self._fitting(self._requested.n_ctx, kv_type, 1.0)
        roomy = min(ROOMY_N_CTX, self._shape.context)
        n_ctx = self._longest(kv_type, COMFORTABLE, self._layers[:1])
        if n_ctx < roomy and len(self._layers) > 1:
            n_ctx = min(roomy, self._longest(kv_type, COMFORTABLE, self._layers))
        least = min(START_N_CTX, self._shape.context)
        if n_ctx >= least:
            return self._fitting(n_ctx, kv_type, COMFORTABLE)
        return self._fitting(least, kv_type, 1.0)

    def widened(self, chosen: FitPlan) -> FitPlan:
        """The plan with a KV cache for sequences side by side.

        Of what is comfortable beyond one full context, on the CPU.
        """
        spare = int(COMFORTABLE * self._hardware.free_bytes) - chosen.needed_bytes
        if chosen.n_ctx < self._shape.context or chosen.n_gpu_layers or spare <= 0:
            return chosen
        # a token costs its keys and values, its share of the copy while the cache grows, and a
        # column of scores
        per_token = 2 * cost.kv_bytes_per_token(self._shape, chosen.kv_type)
        per_token += 4 * chosen.n_batch * (self._shape.heads + 1)
        step = cost.KV_STEP_TOKENS
        widest = chosen.n_ctx + spare // per_token // step * step
        cache_tokens = min(chosen.n_ctx * chosen.n_seq_max, widest)
        spare_tokens = chosen.spare_tokens + cache_tokens - chosen.n_ctx
        return replace(chosen, cache_tokens=cache_tokens, spare_tokens=spare_tokens)

    def refusal(self, name: str, kv_type: KvType) -> DoesNotFit:
        """Why nothing fits, in numbers, and what would."""
        gpus = self._hardware.gpus
        n_ctx = self._requested.n_ctx or min(START_N_CTX, self._shape.context)
        candidate = self._candidate(n_ctx, kv_type, self._layers[0])
        vram = sum(gpu.free_bytes for gpu in gpus)
        if self._requested.n_gpu_layers and candidate.vram_bytes > vram:
            fewer = range(candidate.n_gpu_layers - 1, -1, -1)
            fitting = (
                count for count in fewer if self._fits(self._candidate(n_ctx, kv_type, count), 1.0)
            )
            most = next(fitting, None)
            if most is not None:
                advice = f"put at most {most} layers on the GPU (n_gpu_layers)."
                return DoesNotFit(name, candidate.vram_bytes, vram, advice)
        longest = self._longest(kv_type, 1.0, self._layers)
        advice = "use a smaller model or a smaller quant."
        if longest:
            advice = f"ask for a context of at most {longest} tokens."
        free = self._hardware.free_bytes + sum(gpu.free_bytes for gpu in gpus if not gpu.unified)
        return DoesNotFit(name, candidate.needed_bytes, free, advice)

    def _longest(self, kv_type: KvType, share: float, layers: Sequence[int]) -> int:
        """The longest context that fits with one of these numbers of layers on the GPU, else 0."""
        trained, step = self._shape.context, cost.KV_STEP_TOKENS
        low, high = 0, -(-trained // step)
        while low < high:
            middle = (low + high + 1) // 2
            n_ctx = min(trained, middle * step)
            candidates = (self._candidate(n_ctx, kv_type, count) for count in layers)
            if any(self._fits(candidate, share) for candidate in candidates):
                low = middle
            else:
                high = middle - 1
        return min(trained, low * step)

    def _fitting(self, n_ctx: int, kv_type: KvType, share: float) -> FitPlan | None:
        candidates = (self._candidate(n_ctx, kv_type, count) for count in self._layers)
        return next((candidate for candidate in candidates if self._fits(candidate, share)), None)

    def _fits(self, candidate: FitPlan, share: float) -> bool:
        gpus, in_ram = self._hardware.gpus, candidate.needed_bytes
        if not any(gpu.unified for gpu in gpus):
            in_ram -= candidate.vram_bytes
        vram = sum(gpu.free_bytes for gpu in gpus)
        ram_fits = in_ram <= share * self._hardware.free_bytes
        return ram_fits and candidate.vram_bytes <= share * vram

    def _candidate(self, n_ctx: int, kv_type: KvType, n_gpu_layers: int) -> FitPlan:
        shape, requested = self._shape, self._requested
        start = min(START_N_CTX, n_ctx)
        how, n_seq_max = self._rules.computation(n_ctx, kv_type, n_gpu_layers), requested.n_seq_max
        n_batch, flash = max(n_seq_max, how.n_ubatch), how.flash_attention
        gpus = len(self._hardware.gpus) if n_gpu_layers else 0
        buffer = cost.compute_bytes(shape, n_ctx, n_batch, n_seq_max, flash=flash)
        weights, weights_on_gpu = cost.weights_bytes(shape, n_gpu_layers)
        kv = cost.kv_bytes(shape, n_ctx, kv_type)
        compute = buffer * (1 + gpus) + n_seq_max * shape.vocab * 4
        runtime = cost.RUNTIME_BYTES + shape.vocab * cost.TOKEN_BYTES
        runtime += gpus * cost.GPU_RUNTIME_BYTES
        spare = max(start, n_ctx // SPARE_PART)
        growth = spare * cost.kv_bytes_per_token(shape, kv_type)
        kv_on_gpu = kv * max(0, n_gpu_layers - 1) // shape.layers
        return FitPlan(
            n_ctx=n_ctx,
            cache_tokens=n_ctx,
            start_n_ctx=start,
            n_batch=n_batch,
            n_ubatch=n_batch,
            n_seq_max=n_seq_max,
            n_threads=how.n_threads,
            adapt_threads=not (requested.reproducible or n_gpu_layers),
            n_gpu_layers=n_gpu_layers,
            kv_type=kv_type,
            flash_attention=flash,
            repack=how.repack,
            weights_bytes=weights,
            kv_bytes=kv,
            compute_bytes=compute,
            runtime_bytes=runtime,
            spare_tokens=spare,
            growth_bytes=growth,
            needed_bytes=weights + kv + compute + runtime + growth,
            vram_bytes=weights_on_gpu + kv_on_gpu + gpus * (buffer + cost.GPU_RUNTIME_BYTES),
            tokens_per_s=None if n_gpu_layers else self._tokens_per_s(how.repack),
            step_costs=how.step_costs,
        )

    def _tokens_per_s(self, repack: bool) -> float | None:
        bandwidth = self._hardware.bandwidth_bytes_per_s
        return cost.tokens_per_s(self._shape, bandwidth, repacked=repack)
