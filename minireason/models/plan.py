"""Pure arithmetic: how a model is loaded, and the memory that this takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from minireason.host.hardware import Hardware
from minireason.models import cost
from minireason.models.computation import Given, Rules
from minireason.models.tuned import StepCosts
from minireason.settings import KvType

START_N_CTX = 1024
"""Tokens of KV cache to begin with, and the least that a plan offers.

The engine grows the cache towards `FitPlan.n_ctx`.
"""

SPARE_PART = 4
"""This part of a full KV cache may be in memory beside it: prompts that are parked, and what is
moved while the cache grows."""


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

    mapped_bytes: int
    """The part of them that stays in pages of the file."""

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


class Candidates:
    """The plans that there are for one model, machine and request."""

    def __init__(self, given: Given) -> None:
        self._shape, self._hardware = given.shape, given.hardware
        self._requested, self._rules = given.requested, Rules(given)

    def plan(self, n_ctx: int, kv_type: KvType, n_gpu_layers: int) -> FitPlan:
        """The plan with this context, KV cache and layers on the GPU, whether or not it fits."""
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
            mapped_bytes=weights - weights_on_gpu - shape.repackable_bytes * how.repack,
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

    def fitting(
        self, n_ctx: int, kv_type: KvType, layers: Iterable[int], share: float
    ) -> FitPlan | None:
        """The first plan that fits with one of these numbers of layers on the GPU.

        It takes at most this share of the memory that is free. None if none fits.
        """
        plans = (self.plan(n_ctx, kv_type, count) for count in layers)
        return next((plan for plan in plans if self._fits(plan, share)), None)

    def _fits(self, plan: FitPlan, share: float) -> bool:
        here = self._hardware
        if plan.vram_bytes > share * here.free_vram_bytes:
            return False
        return _ram_bytes(plan, here) <= share * here.free_bytes

    def _tokens_per_s(self, repack: bool) -> float | None:
        bandwidth = self._hardware.bandwidth_bytes_per_s
        return cost.tokens_per_s(self._shape, bandwidth, repacked=repack)


def beside(plan: FitPlan, here: Hardware) -> Hardware:
    """What is left of a machine beside a model that is loaded by this plan.

    llama.cpp shares a model out to GPUs by the memory that is free on each.
    """
    kept = 1 - min(1.0, plan.vram_bytes / max(1, here.free_vram_bytes))
    gpus = tuple(replace(gpu, free_bytes=int(kept * gpu.free_bytes)) for gpu in here.gpus)
    return replace(here.left(_ram_bytes(plan, here)), gpus=gpus)


def _ram_bytes(plan: FitPlan, here: Hardware) -> int:
    """The part of a plan in the machine's memory, of which some GPUs have theirs."""
    return plan.needed_bytes - (0 if here.unified else plan.vram_bytes)
