"""How a model is computed: as it was measured to be faster here, else by rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minireason.host.hardware import Hardware
from minireason.models import cost
from minireason.models.shape import Shape
from minireason.models.tuned import StepCosts, Tuned
from minireason.settings import KvType, LoadSettings

N_BATCH = 128
"""Tokens per decode call (chunked prefill).

A chunk on a CPU takes seconds beyond this, and cancelling waits for a chunk.
"""

GPU_N_BATCH = 512
"""The same where all layers are on a GPU, for which it is milliseconds of work."""

LITTLE = 0.02
"""The share of free memory that a larger micro-batch may take beyond the usual one."""


@dataclass(frozen=True, slots=True)
class Computation:
    """What was chosen."""

    n_ubatch: int
    """Tokens that are computed at once (micro-batch)."""

    n_threads: int
    """Threads on the CPU."""

    flash_attention: bool
    """Whether attention is computed in blocks, without its scores in memory."""

    repack: bool
    """Whether the weights are rearranged for the CPU."""

    step_costs: StepCosts | None
    """What steps for several tokens cost; None where it was not measured."""


@dataclass(frozen=True, slots=True)
class Given:
    """What is known before anything is decided."""

    shape: Shape
    hardware: Hardware
    requested: LoadSettings
    measured: Mapping[KvType, Tuned]
    """What was measured to be faster on this CPU, for each kind of KV cache."""


class Rules:
    """Chooses for one model, machine and request.

    What was measured goes before, unless something reproducible or another number of threads is
    requested, or layers are on a GPU.
    """

    def __init__(self, given: Given) -> None:
        self._shape, self._hardware = given.shape, given.hardware
        self._requested, self._measured = given.requested, given.measured

    def computation(self, n_ctx: int, kv_type: KvType, n_gpu_layers: int) -> Computation:
        """How a plan with such a context computes."""
        tuned = self._tuned(kv_type, n_gpu_layers)
        if tuned is None:
            return Computation(
                n_ubatch=GPU_N_BATCH if n_gpu_layers > self._shape.layers else N_BATCH,
                n_threads=self._requested.n_threads or self._hardware.cores,
                flash_attention=self._flash_attention(kv_type, n_gpu_layers),
                repack=self._repack(),
                step_costs=None,
            )
        flash = tuned.flash_attention or kv_type != "f16"  # quantized values need it
        return Computation(
            n_ubatch=self._n_ubatch(n_ctx, tuned.n_ubatch, flash=flash),
            n_threads=tuned.n_threads,
            flash_attention=flash,
            repack=tuned.repack and not self._hardware.gpus,
            step_costs=tuned.step_costs,
        )

    def _tuned(self, kv_type: KvType, n_gpu_layers: int) -> Tuned | None:
        """What was measured of such a plan; None where nothing was, or it is not to count."""
        requested, tuned = self._requested, self._measured.get(kv_type)
        if tuned is None or requested.reproducible or n_gpu_layers:
            return None
        as_requested = requested.n_threads in (None, tuned.n_threads)
        return tuned if as_requested and requested.repack in (None, tuned.repack) else None

    def _n_ubatch(self, n_ctx: int, measured: int, *, flash: bool) -> int:
        """N_BATCH, or the larger one that was measured to be faster, where it takes little more."""
        usual, larger = (
            cost.compute_bytes(self._shape, n_ctx, size, 1, flash=flash)
            for size in (N_BATCH, max(N_BATCH, measured))
        )
        little = larger - usual <= LITTLE * self._hardware.free_bytes
        return max(N_BATCH, measured) if little else N_BATCH

    def _flash_attention(self, kv_type: KvType, n_gpu_layers: int) -> bool:
        """Whether flash attention is used: on GPUs, for quantized values, and else by CPU.

        What llama.cpp's kernels for it gain differs between makers. On an AMD EPYC with AVX-512 it
        was 4 to 9% faster in decode and 10 to 20% in prefill. On Xeons with AVX-512 it doubles the
        time of a step of SmolLM2 at 1,000 tokens. Elsewhere it is 7 to 12% faster with small heads,
        and with others slower in prefill.
        """
        if n_gpu_layers or kv_type != "f16":
            return True
        if "AVX512" in self._hardware.built_for:
            return "AMD" in self._hardware.cpu
        return self._shape.head_dim < 128

    def _repack(self) -> bool:
        """Whether weights are rearranged for the CPU: 1.4 to 1.5 times faster with AVX2, AVX-512.

        With a GPU llama.cpp does not do it.
        """
        requested = self._requested.repack
        repack = self._shape.repackable if requested is None else requested
        return repack and not self._hardware.gpus
