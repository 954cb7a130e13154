"""The part of a GPU that a worker needs, by what llama.cpp finds on its machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from minireason.backends import loading
from minireason.backends.concurrency import USUAL_REPLY_TOKENS
from minireason.batch.share import gpu_part
from minireason.errors import DoesNotFit, UsageError
from minireason.host.hardware import Hardware
from minireason.models import fit, gguf, shape
from minireason.models.shape import Shape
from minireason.settings import LoadSettings


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker needs of its machine."""

    memory_bytes: int
    """Beside the GPU's."""

    gpus: float
    """A part of one, or a whole number."""


def here() -> Hardware:
    """This machine; raises UsageError where llama.cpp finds no GPU on it."""
    machine = loading.machine()
    if not machine.gpus:
        raise UsageError(
            "This llama.cpp finds no GPU that it was built for; leave --gpu-layers out, or install "
            "a build that minireason doctor names there."
        )
    return machine


def need(path: Path, requested: LoadSettings, machines: Sequence[Hardware], most: int) -> Need:
    """What a worker with this model file needs, by the machine with the smallest GPU.

    Raises ModelFileError, and what `needed` raises.
    """
    smallest = min(machines, key=lambda machine: machine.gpus[0].total_bytes)
    return needed(path.name, shape.of(gguf.check(path)), requested, smallest, most)


def needed(
    name: str, dimensions: Shape, requested: LoadSettings, machine: Hardware, most: int
) -> Need:
    """What a worker needs where machines have `most` GPUs like the first of this one.

    The context requested counts, else a usual reply in each of its places: the part of a GPU for
    these, or the fewest whole ones that hold these or a roomy context. Raises DoesNotFit, or
    BadSetting for what the model cannot do.
    """
    sizes = (requested.n_seq_max * USUAL_REPLY_TOKENS, fit.ROOMY_N_CTX)
    contexts = [min(size, dimensions.context) for size in sizes]
    if requested.n_ctx:
        contexts = [requested.n_ctx]

    def of(gpus: int, n_ctx: int) -> Need:
        each = _need(name, dimensions, replace(requested, n_ctx=n_ctx), machine, gpus)
        return each if n_ctx == contexts[0] else replace(each, gpus=max(1.0, each.gpus))

    *others, last = [(gpus, n_ctx) for gpus in range(1, most + 1) for n_ctx in contexts]
    for gpus, n_ctx in others:
        with suppress(DoesNotFit):
            return of(gpus, n_ctx)
    return of(*last)


def _need(
    name: str, dimensions: Shape, requested: LoadSettings, machine: Hardware, gpus: int
) -> Need:
    """What a worker needs that has so many GPUs, or a part of one; raises DoesNotFit."""
    gpu = replace(machine.gpus[0], free_bytes=machine.gpus[0].total_bytes)
    empty = replace(machine, free_bytes=machine.total_bytes, gpus=(gpu,) * gpus)
    plan = fit.plan(name, dimensions, empty, requested)
    # of its part a worker plans with what is comfortable, and the driver takes some of the rest
    beside_bytes, vram_bytes = (
        math.ceil(part / fit.COMFORTABLE)
        for part in (plan.needed_bytes - (0 if gpu.unified else plan.vram_bytes), plan.vram_bytes)
    )
    return Need(beside_bytes, gpus if gpus > 1 else gpu_part(gpu.total_bytes, vram_bytes))
