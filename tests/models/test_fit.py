from __future__ import annotations

from pathlib import Path

import pytest

from minireason import BadSetting, DoesNotFit, LoadSettings
from minireason.models import fit, hardware
from minireason.models.gguf import Header
from minireason.models.hardware import Hardware

GIB = 2**30
QWEN_7B = Header(
    path=Path("r1-7b.gguf"),
    file_bytes=4_683_073_248,
    metadata={
        "general.architecture": "qwen2",
        "qwen2.block_count": 28,
        "qwen2.embedding_length": 3584,
        "qwen2.attention.head_count": 28,
        "qwen2.attention.head_count_kv": 4,
        "qwen2.context_length": 131072,
    },
    array_lengths={},
    tensor_bytes=4_677_120_000,
)


def test_kv_bytes_of_the_7b() -> None:
    assert fit.kv_bytes_per_token(QWEN_7B) == 56 * 1024


def test_context_fills_what_memory_leaves() -> None:
    plan = fit.plan(QWEN_7B, Hardware(4, 8 * GIB), LoadSettings())
    assert plan.needed_bytes <= 8 * GIB < plan.needed_bytes + 256 * fit.kv_bytes_per_token(QWEN_7B)
    assert (plan.start_n_ctx, plan.n_threads) == (1024, 4)
    assert fit.plan(QWEN_7B, Hardware(4, 64 * GIB), LoadSettings()).n_ctx == 131072


def test_wishes_are_taken_at_their_word_or_refused() -> None:
    plan = fit.plan(QWEN_7B, Hardware(4, 8 * GIB), LoadSettings(n_ctx=2000, n_threads=3, n_gpu_layers=0))
    assert (plan.n_ctx, plan.n_threads, plan.n_gpu_layers) == (2000, 3, 0)
    with pytest.raises(BadSetting, match="131072"):
        fit.plan(QWEN_7B, Hardware(4, 64 * GIB), LoadSettings(n_ctx=200_000))
    with pytest.raises(DoesNotFit, match="smaller context"):
        fit.plan(QWEN_7B, Hardware(4, 6 * GIB), LoadSettings(n_ctx=100_000))


def test_too_big_a_model_carries_the_numbers() -> None:
    with pytest.raises(DoesNotFit, match="smaller model") as caught:
        fit.plan(QWEN_7B, Hardware(4, 4 * GIB), LoadSettings())
    assert caught.value.needed_bytes > caught.value.available_bytes == 4 * GIB


def test_this_machine() -> None:
    machine = hardware.probe()
    assert machine.cores >= 1
    assert machine.free_bytes > 2**20
