"""Pure arithmetic: a model's shape, a machine and settings -> how to load it, or why not.

What a plan may do is tried out: of the candidates, which are whole plans, the best one that fits
wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from minireason.errors import BadSetting, DoesNotFit
from minireason.host.hardware import Hardware
from minireason.models import cost
from minireason.models.computation import Given
from minireason.models.plan import START_N_CTX, Candidates, FitPlan
from minireason.models.shape import Shape
from minireason.models.tuned import Tuned
from minireason.settings import KvType, LoadSettings

ROOMY_N_CTX = 8192
"""A context that a chain of thought seldom outgrows.

For less, the KV cache is quantized, or layers stay off the GPU.
"""

COMFORTABLE = 0.9
"""The share of free memory that a plan uses of its own accord; a request may use all of it."""

_QWEN2_FAMILY = frozenset({"qwen2", "qwen2moe"})

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
    planner = _Planner(Given(shape, hardware, requested, measured))
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

    def __init__(self, given: Given) -> None:
        self._shape, self._hardware = given.shape, given.hardware
        self._requested, self._candidates = given.requested, Candidates(given)
        requested, most = given.requested, given.shape.layers + 1
        if not given.hardware.gpus:
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
            return self._candidates.fitting(self._requested.n_ctx, kv_type, self._layers, 1.0)
        roomy = min(ROOMY_N_CTX, self._shape.context)
        n_ctx = self._longest(kv_type, COMFORTABLE, self._layers[:1])
        if n_ctx < roomy and len(self._layers) > 1:
            n_ctx = min(roomy, self._longest(kv_type, COMFORTABLE, self._layers))
        least = min(START_N_CTX, self._shape.context)
        if n_ctx >= least:
            return self._candidates.fitting(n_ctx, kv_type, self._layers, COMFORTABLE)
        return self._candidates.fitting(least, kv_type, self._layers, 1.0)

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
        candidate = self._candidates.plan(n_ctx, kv_type, self._layers[0])
        vram = self._hardware.free_vram_bytes
        if self._requested.n_gpu_layers and candidate.vram_bytes > vram:
            fewer = range(candidate.n_gpu_layers - 1, -1, -1)
            fitting = self._candidates.fitting(n_ctx, kv_type, fewer, 1.0)
            if fitting:
                advice = f"put at most {fitting.n_gpu_layers} layers on the GPU (n_gpu_layers)."
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
            if self._candidates.fitting(n_ctx, kv_type, layers, share):
                low = middle
            else:
                high = middle - 1
        return min(trained, low * step)
