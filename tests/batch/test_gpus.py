"""What a worker needs of the GPUs of a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minireason.batch.gpus import Need, needed
from minireason.batch.share import gpu_part, on_one_gpu
from minireason.errors import BadSetting, DoesNotFit
from minireason.host.hardware import Gpu, Hardware
from minireason.models import fit
from minireason.models.shape import Shape
from minireason.settings import LoadSettings

GIB = 2**30
QWEN_1_5B = Shape("qwen2", 28, 12, 2, 128, 1536, 8960, 151_936, 131_072, 1_894_532_128)
QWEN_7B = Shape("qwen2", 28, 28, 4, 128, 3584, 18_944, 152_064, 131_072, 4_677_120_000)
LLAMA_70B = Shape("llama", 80, 64, 8, 128, 8192, 28_672, 128_256, 131_072, 42_520_398_848)
SHAPES = (QWEN_1_5B, QWEN_7B, LLAMA_70B)
ALL = LoadSettings(n_gpu_layers=-1)


def machine(vram: float, *, ram: float = 256, unified: bool = False) -> Hardware:
    """A machine whose GPU is in use by others, which Ray knows of and this need not."""
    size = int(vram * GIB)
    gpu = Gpu("CUDA0", "Some GPU", size // 2, size, unified)
    return Hardware(16, int(ram * GIB), int(ram * GIB), gpus=(gpu,))


def need(shape: Shape, vram: float, most: int = 8, requested: LoadSettings = ALL) -> Need:
    return needed("model", shape, requested, machine(vram), most)


def test_several_share_a_gpu_with_a_usual_reply_in_each_place() -> None:
    at_once = ALL.n_seq_max * 4096
    full = replace(ALL, n_ctx=at_once)
    gpu = machine(80).gpus[0]
    empty = replace(machine(80), gpus=(replace(gpu, free_bytes=gpu.total_bytes),))
    vram_bytes = fit.plan("model", QWEN_7B, empty, full).vram_bytes
    expected = gpu_part(80 * GIB, int(vram_bytes / 0.9) + 1)
    assert need(QWEN_7B, 80).gpus == expected
    assert 0 < expected < 0.5


def test_one_takes_a_whole_gpu_that_holds_a_roomy_context_alone() -> None:
    assert need(QWEN_7B, 6).gpus == 1


def test_one_that_is_too_large_takes_the_fewest_gpus_that_hold_it() -> None:
    assert need(LLAMA_70B, 24).gpus == 2
    with pytest.raises(DoesNotFit, match=r"put at most .* layers on the GPU"):
        need(LLAMA_70B, 24, most=1)


def test_a_context_that_was_asked_for_is_what_counts() -> None:
    short, long = (
        need(QWEN_7B, 80, requested=replace(ALL, n_ctx=n_ctx)) for n_ctx in (2048, 131_072)
    )
    assert short.gpus < need(QWEN_7B, 80).gpus < long.gpus
    with pytest.raises(BadSetting, match="trained for a context"):
        need(QWEN_7B, 80, requested=replace(ALL, n_ctx=131_073))


def test_fewer_layers_need_less_of_the_gpu_and_more_memory() -> None:
    some = need(QWEN_7B, 80, requested=LoadSettings(n_gpu_layers=9))
    assert some.gpus < need(QWEN_7B, 80).gpus
    assert some.memory_bytes > need(QWEN_7B, 80).memory_bytes


@given(
    st.sampled_from(SHAPES),
    st.sampled_from([6, 8, 12, 24, 48, 80, 140]),
    st.integers(1, 8),
    st.integers(-1, 90).filter(bool),
    st.sampled_from([4, 16, 64]),
    st.none() | st.integers(1024, 65_536),
)
def test_what_a_worker_plans_in_its_part_is_what_its_part_was_made_for(
    shape: Shape, vram: int, most: int, layers: int, places: int, n_ctx: int | None
) -> None:
    requested = LoadSettings(n_gpu_layers=layers, n_seq_max=places, n_ctx=n_ctx)
    try:
        part = needed("model", shape, requested, machine(vram), most)
    except DoesNotFit:
        assume(False)
    gpu = Gpu("CUDA0", "Some GPU", vram * GIB, vram * GIB)
    given_gpus = (gpu,) * max(1, int(part.gpus))
    there = Hardware(4, 512 * GIB, 512 * GIB, gpus=given_gpus)
    mine = there.left(512 * GIB - part.memory_bytes, 1 / on_one_gpu(part.gpus))
    plan = fit.plan("model", shape, mine, requested)
    assert plan.n_gpu_layers == min(layers if layers > 0 else 999, shape.layers + 1)
    assert plan.vram_bytes <= vram * GIB * max(part.gpus, 1 / on_one_gpu(part.gpus))
    assert int(part.gpus) in (0, part.gpus), "a part, or a whole number"
    if n_ctx is None and part.gpus < 1:
        assert plan.cache_tokens >= min(places * 4096, shape.context)
    if n_ctx is not None:
        assert plan.n_ctx == n_ctx
