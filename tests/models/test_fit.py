"""Plans for made-up machines, and what holds for every plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from minireason import BadSetting, DoesNotFit, LoadSettings
from minireason.host.hardware import Gpu, Hardware
from minireason.models import computation, cost, fit
from minireason.models.plan import FitPlan
from minireason.models.shape import Shape
from minireason.settings import KvType
from tests.models.measured import TUNED

GIB = 2**30
QWEN_1_5B = Shape("qwen2", 28, 12, 2, 128, 1536, 8960, 151_936, 131_072, 1_894_532_128)
QWEN_7B = Shape("qwen2", 28, 28, 4, 128, 3584, 18_944, 152_064, 131_072, 4_677_120_000)
LLAMA_8B = Shape("llama", 32, 32, 8, 128, 4096, 14_336, 128_256, 131_072, 4_920_738_944)
LLAMA_70B = Shape("llama", 80, 64, 8, 128, 8192, 28_672, 128_256, 131_072, 42_520_398_848)
SHAPES = (QWEN_1_5B, QWEN_7B, LLAMA_8B, LLAMA_70B)


def machine(
    free: float, vram: float = 0, *, unified: bool = False, bandwidth: float | None = None
) -> Hardware:
    gpus = (Gpu("GPU0", "Some GPU", int(vram * GIB), int(vram * GIB), unified),) if vram else ()
    return Hardware(4, int(free * GIB), int(free * GIB), gpus=gpus, bandwidth_bytes_per_s=bandwidth)


SMOLLM2 = Shape("llama", 30, 9, 3, 64, 576, 1536, 49_152, 8192, 96_576_768, tied=True)


def plan(shape: Shape, hardware: Hardware, requested: LoadSettings | None = None) -> FitPlan:
    return fit.plan("model", shape, hardware, requested or LoadSettings())


@pytest.mark.parametrize(
    ("shape", "kib"), [(QWEN_1_5B, 28), (QWEN_7B, 56), (LLAMA_8B, 128), (LLAMA_70B, 320)]
)
def test_kv_bytes_of_the_distills(shape: Shape, kib: int) -> None:
    assert cost.kv_bytes_per_token(shape) == kib * 1024
    assert cost.kv_bytes_per_token(shape, "q8_0") == kib * 1024 * 34 // 64


@pytest.mark.parametrize(
    ("shape", "n_ctx", "n_batch", "n_outputs", "flash", "mib"),
    [
        (QWEN_1_5B, 1024, 128, 16, False, 16.13),
        (QWEN_1_5B, 4096, 128, 16, False, 30.0),
        (QWEN_1_5B, 16_384, 128, 16, False, 108.0),
        (QWEN_7B, 16_384, 128, 16, False, 241.25),
        (SMOLLM2, 4096, 128, 16, False, 21.6),
        (QWEN_1_5B, 1024, 128, 16, True, 16.38),
        (QWEN_1_5B, 16_384, 128, 16, True, 20.13),
        (QWEN_1_5B, 1024, 64, 16, True, 9.84),
        (QWEN_1_5B, 1024, 256, 256, True, 151.38),
        (SMOLLM2, 16_384, 128, 16, True, 7.38),
        (SMOLLM2, 1024, 128, 128, True, 24.56),
    ],
)
def test_compute_buffers_are_those_that_llama_cpp_logged(
    shape: Shape, n_ctx: int, n_batch: int, n_outputs: int, flash: bool, mib: float
) -> None:
    assert cost.compute_bytes(
        shape, n_ctx, n_batch, n_outputs, flash=flash
    ) / 2**20 == pytest.approx(mib, rel=0.06)


def test_a_laptop_with_8_gb_runs_the_7b() -> None:
    chosen = plan(QWEN_7B, machine(5.6))
    assert chosen.kv_type == "q8_0", "float16 leaves less than 8,192 tokens"
    assert chosen.n_ctx >= 4096
    assert chosen.needed_bytes <= 0.9 * 5.6 * GIB
    assert (chosen.start_n_ctx, chosen.n_threads, chosen.n_gpu_layers, chosen.vram_bytes) == (
        1024,
        4,
        0,
        0,
    )


def test_plenty_of_memory_gives_the_trained_context() -> None:
    chosen = plan(QWEN_1_5B, machine(20))
    assert (chosen.n_ctx, chosen.kv_type) == (131_072, "f16")
    assert chosen.growth_bytes == chosen.kv_bytes // 4, (
        "the last step of growing starts from a quarter"
    )


def test_16_gb_with_a_gpu_of_6_gb_runs_the_7b_on_it() -> None:
    chosen = plan(QWEN_7B, machine(12, vram=6))
    assert chosen.n_gpu_layers == 29
    assert chosen.n_ctx >= fit.ROOMY_N_CTX or chosen.kv_type == "q8_0"
    assert chosen.vram_bytes <= 0.9 * 6 * GIB


def test_what_the_gpu_cannot_hold_stays_on_the_cpu() -> None:
    chosen = plan(QWEN_7B, machine(12, vram=4))
    assert 0 < chosen.n_gpu_layers < 29
    assert chosen.n_ctx == fit.ROOMY_N_CTX
    assert chosen.vram_bytes <= 0.9 * 4 * GIB
    more = LoadSettings(n_gpu_layers=-1, n_ctx=chosen.n_ctx, kv_type="f16")
    with pytest.raises(DoesNotFit, match=r"put at most \d+ layers on the GPU") as caught:
        plan(QWEN_7B, machine(12, vram=4), more)
    assert caught.value.needed_bytes > caught.value.available_bytes == 4 * GIB
    fewer = int(str(caught.value).split("at most ")[1].split()[0])
    assert (
        plan(QWEN_7B, machine(12, vram=4), replace(more, n_gpu_layers=fewer)).n_gpu_layers == fewer
    )
    with pytest.raises(DoesNotFit, match="at most"):
        plan(QWEN_7B, machine(12, vram=4), replace(more, n_gpu_layers=fewer + 1))


def test_a_model_larger_than_either_memory_uses_both() -> None:
    chosen = plan(LLAMA_70B, machine(30, vram=24))
    assert chosen.vram_bytes > 20 * GIB
    assert chosen.needed_bytes - chosen.vram_bytes <= 30 * GIB


def test_threads_follow_the_load_on_the_cpu_unless_they_are_pinned() -> None:
    assert plan(QWEN_1_5B, machine(20)).adapt_threads
    assert plan(QWEN_1_5B, machine(20), LoadSettings(n_threads=3)).adapt_threads
    assert not plan(QWEN_1_5B, machine(20), LoadSettings(reproducible=True)).adapt_threads
    assert not plan(QWEN_1_5B, machine(20, vram=12)).adapt_threads


def test_batches_are_larger_where_all_layers_are_on_a_gpu() -> None:
    assert plan(QWEN_7B, machine(12, vram=12)).n_batch == computation.GPU_N_BATCH
    partly = plan(QWEN_7B, machine(12, vram=4))
    assert partly.n_batch == plan(QWEN_7B, machine(12)).n_batch == computation.N_BATCH


def test_unified_memory_counts_once() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(LLAMA_70B, machine(30, vram=24, unified=True))
    assert caught.value.available_bytes == 30 * GIB


def test_layers_on_the_gpu() -> None:
    assert plan(QWEN_7B, machine(12, vram=12), LoadSettings(n_gpu_layers=0)).vram_bytes == 0
    assert plan(QWEN_7B, machine(12, vram=12), LoadSettings(n_gpu_layers=-1)).n_gpu_layers == 29
    assert plan(QWEN_7B, machine(12, vram=12), LoadSettings(n_gpu_layers=7)).n_gpu_layers == 7
    assert plan(QWEN_7B, machine(12), LoadSettings(n_gpu_layers=-1)).n_gpu_layers == 0, (
        "there is no GPU"
    )


def test_a_tied_embedding_is_on_the_gpu_a_second_time() -> None:
    tied = replace(QWEN_1_5B, tied=True)
    on_gpu, on_cpu = (
        plan(tied, machine(12, vram=12), LoadSettings(n_gpu_layers=count)) for count in (-1, 0)
    )
    assert on_cpu.weights_bytes == tied.weight_bytes < on_gpu.weights_bytes


def test_70b_on_24_gib_does_not_fit() -> None:
    with pytest.raises(DoesNotFit, match="smaller model") as caught:
        plan(LLAMA_70B, machine(22))
    assert caught.value.needed_bytes > LLAMA_70B.weight_bytes
    assert caught.value.available_bytes == 22 * GIB


def test_too_long_a_context_names_the_longest_that_fits() -> None:
    with pytest.raises(DoesNotFit, match="context of at most") as caught:
        plan(LLAMA_8B, machine(8), LoadSettings(n_ctx=100_000))
    longest = int(str(caught.value).split("at most ")[1].split()[0])
    assert plan(LLAMA_8B, machine(8), LoadSettings(n_ctx=longest)).n_ctx == longest
    with pytest.raises(DoesNotFit):
        plan(LLAMA_8B, machine(8), LoadSettings(n_ctx=longest + 257))


def test_requests_are_met_or_refused() -> None:
    chosen = plan(QWEN_7B, machine(8), LoadSettings(n_ctx=2000, n_threads=3, kv_type="q8_0"))
    assert (chosen.n_ctx, chosen.n_threads, chosen.kv_type) == (2000, 3, "q8_0")
    with pytest.raises(BadSetting, match="131072"):
        plan(QWEN_7B, machine(64), LoadSettings(n_ctx=200_000))
    with pytest.raises(BadSetting, match="q8_0"):
        plan(QWEN_7B, machine(64), LoadSettings(kv_type="q4_0"))
    assert plan(LLAMA_8B, machine(64), LoadSettings(kv_type="q4_0")).kv_type == "q4_0"
    odd = replace(LLAMA_8B, head_dim=80)
    assert plan(odd, machine(6)).kv_type == "f16"
    with pytest.raises(BadSetting, match="80"):
        plan(odd, machine(64), LoadSettings(kv_type="q8_0"))


def test_tokens_per_s_follow_bandwidth_and_weights() -> None:
    assert plan(QWEN_7B, machine(24)).tokens_per_s is None
    slow, fast = (
        plan(QWEN_7B, machine(24, bandwidth=bandwidth)).tokens_per_s for bandwidth in (20e9, 40e9)
    )
    assert slow
    assert fast == 2 * slow
    assert slow < 20e9 / 4.2e9
    assert plan(replace(QWEN_7B, arch="qwen3moe"), machine(24, bandwidth=20e9)).tokens_per_s is None
    assert plan(QWEN_7B, machine(24, vram=24, bandwidth=20e9)).tokens_per_s is None


def test_weights_are_rearranged_where_llama_cpp_can() -> None:
    four_bit = replace(QWEN_7B, repackable_bytes=QWEN_7B.weight_bytes)
    assert plan(four_bit, machine(24)).repack
    assert not plan(QWEN_7B, machine(24)).repack
    assert not plan(four_bit, machine(24), LoadSettings(repack=False)).repack
    assert not plan(four_bit, machine(24, vram=24)).repack
    plain, repacked = (
        plan(shape, machine(24, bandwidth=20e9)).tokens_per_s for shape in (QWEN_7B, four_bit)
    )
    assert plain
    assert repacked
    assert repacked > plain


def test_flash_attention_is_off_where_it_is_slow() -> None:
    assert not plan(QWEN_7B, machine(24)).flash_attention
    assert plan(QWEN_7B, machine(24), LoadSettings(kv_type="q8_0")).flash_attention
    assert plan(QWEN_7B, machine(24, vram=24)).flash_attention
    assert plan(SMOLLM2, machine(24)).flash_attention
    assert not plan(
        SMOLLM2, replace(machine(24), built_for=frozenset({"AVX2", "AVX512"}))
    ).flash_attention


MACHINES = st.builds(
    machine, st.floats(0.5, 80), st.sampled_from([0, 2, 6, 12, 24]), unified=st.booleans()
)
REQUESTS = st.builds(
    LoadSettings,
    n_ctx=st.none() | st.integers(64, 131_072),
    n_gpu_layers=st.none() | st.integers(-1, 90),
    n_seq_max=st.integers(1, 64),
    kv_type=st.sampled_from([None, "f16", "q8_0"]),
)


def attempt(shape: Shape, hardware: Hardware, requested: LoadSettings) -> FitPlan | None:
    try:
        return plan(shape, hardware, requested)
    except DoesNotFit:
        return None


@given(st.sampled_from(SHAPES), MACHINES, REQUESTS)
def test_no_plan_takes_more_than_there_is(
    shape: Shape, hardware: Hardware, requested: LoadSettings
) -> None:
    chosen = attempt(shape, hardware, requested)
    assume(chosen)
    assert chosen
    vram = sum(gpu.free_bytes for gpu in hardware.gpus)
    unified = any(gpu.unified for gpu in hardware.gpus)
    assert chosen.vram_bytes <= vram
    assert chosen.needed_bytes - (0 if unified else chosen.vram_bytes) <= hardware.free_bytes
    parts = (
        chosen.weights_bytes,
        chosen.kv_bytes,
        chosen.compute_bytes,
        chosen.runtime_bytes,
        chosen.growth_bytes,
    )
    assert chosen.needed_bytes == sum(parts)
    assert min(parts) >= 0
    assert 0 < chosen.start_n_ctx <= chosen.n_ctx <= shape.context
    assert chosen.n_batch >= chosen.n_seq_max


@given(
    st.sampled_from(SHAPES), MACHINES, REQUESTS, st.integers(64, 131_072), st.integers(64, 131_072)
)
def test_a_longer_context_never_needs_less(
    shape: Shape, hardware: Hardware, requested: LoadSettings, first: int, second: int
) -> None:
    requested = replace(
        requested, kv_type=requested.kv_type or "f16", n_gpu_layers=requested.n_gpu_layers or 0
    )
    shorter, longer = (
        attempt(shape, hardware, replace(requested, n_ctx=n_ctx))
        for n_ctx in sorted((first, second))
    )
    if longer:
        assert shorter
        assert shorter.needed_bytes <= longer.needed_bytes


@given(st.sampled_from(SHAPES), st.sampled_from(("f16", "q8_0")), st.floats(1, 80), st.floats(0, 8))
def test_more_memory_never_gives_less_context(
    shape: Shape, kv_type: KvType, free: float, more: float
) -> None:
    requested = LoadSettings(kv_type=kv_type)
    small, large = (
        attempt(shape, machine(free), requested),
        attempt(shape, machine(free + more), requested),
    )
    if small:
        assert large
        assert large.n_ctx >= small.n_ctx


def test_what_was_measured_goes_before_the_rules() -> None:
    requests: list[tuple[LoadSettings, bool]] = [
        (LoadSettings(), True),
        (LoadSettings(n_threads=TUNED.n_threads), True),
        (LoadSettings(n_threads=1), False),
        (LoadSettings(reproducible=True), False),
        (LoadSettings(repack=not TUNED.repack), False),
        (LoadSettings(kv_type="q8_0"), False),
    ]
    other = replace(TUNED, flash_attention=not plan(QWEN_7B, machine(24)).flash_attention)
    for requested, counts in requests:
        without = plan(QWEN_7B, machine(24), requested)
        with_it = fit.plan("model", QWEN_7B, machine(24), requested, {"f16": other})
        assert (with_it.step_costs == TUNED.step_costs) is counts
        assert (with_it.flash_attention != without.flash_attention) is counts
        assert counts or with_it == without
    on_gpu = fit.plan("model", QWEN_7B, machine(24, vram=24), LoadSettings(), {"f16": other})
    assert on_gpu == plan(QWEN_7B, machine(24, vram=24))


@pytest.mark.parametrize(
    ("cpu", "built_for", "head_dim", "flash"),
    [
        ("AMD EPYC 9V74", "AVX512", 128, True),
        ("AMD EPYC 9V74", "AVX512", 64, True),
        ("Intel(R) Xeon(R)", "AVX512", 64, False),
        ("Intel(R) Xeon(R)", "AVX2", 64, True),
        ("Intel(R) Xeon(R)", "AVX2", 128, False),
    ],
)
def test_the_rule_for_flash_attention(cpu: str, built_for: str, head_dim: int, flash: bool) -> None:
    here = replace(machine(24), cpu=cpu, built_for=frozenset({built_for}))
    assert plan(replace(QWEN_7B, head_dim=head_dim), here).flash_attention is flash


def test_a_larger_micro_batch_where_it_was_faster_and_takes_little_more() -> None:
    sizes = [
        (
            fit.plan("model", QWEN_7B, machine(gib), LoadSettings(n_ctx=n_ctx), {"f16": tuned})
        ).n_ubatch
        for gib, n_ctx in ((64, 4096), (64, 65_536), (8, 4096))
        for tuned in (replace(TUNED, flash_attention=False), replace(TUNED, n_ubatch=64))
    ]
    assert sizes == [512, 128, 128, 128, 128, 128]
