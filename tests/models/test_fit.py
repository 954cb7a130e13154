from __future__ import annotations

import pytest

from minireason import BadSetting, DoesNotFit, LoadSettings
from minireason.models import fit, hardware
from minireason.models.hardware import Hardware
from minireason.models.shape import Shape

GIB = 2**30
QWEN_7B = Shape("qwen2", 28, 28, 4, 128, 3584, 18944, 152064, 131072, 4_677_120_000)


def test_kv_bytes_of_the_7b() -> None:
    assert fit.kv_bytes_per_token(QWEN_7B) == 56 * 1024


def test_context_fills_what_memory_leaves() -> None:
    plan = fit.plan("r1-7b", QWEN_7B, Hardware(4, 8 * GIB, 8 * GIB), LoadSettings())
    assert plan.needed_bytes <= 8 * GIB < plan.needed_bytes + 256 * fit.kv_bytes_per_token(QWEN_7B)
    assert (plan.start_n_ctx, plan.n_threads) == (1024, 4)
    assert fit.plan("r1-7b", QWEN_7B, Hardware(4, 64 * GIB, 64 * GIB), LoadSettings()).n_ctx == 131072


def test_wishes_are_taken_at_their_word_or_refused() -> None:
    plan = fit.plan("r1-7b", QWEN_7B, Hardware(4, 8 * GIB, 8 * GIB), LoadSettings(n_ctx=2000, n_threads=3, n_gpu_layers=0))
    assert (plan.n_ctx, plan.n_threads, plan.n_gpu_layers) == (2000, 3, 0)
    with pytest.raises(BadSetting, match="131072"):
        fit.plan("r1-7b", QWEN_7B, Hardware(4, 64 * GIB, 64 * GIB), LoadSettings(n_ctx=200_000))
    with pytest.raises(DoesNotFit, match="smaller context"):
        fit.plan("r1-7b", QWEN_7B, Hardware(4, 6 * GIB, 6 * GIB), LoadSettings(n_ctx=100_000))


def test_too_big_a_model_carries_the_numbers() -> None:
    with pytest.raises(DoesNotFit, match="smaller model") as caught:
        fit.plan("r1-7b", QWEN_7B, Hardware(4, 4 * GIB, 4 * GIB), LoadSettings())
    assert caught.value.needed_bytes > caught.value.available_bytes == 4 * GIB


def test_this_machine() -> None:
    machine = hardware.probe()
    assert machine.cores >= 1
    assert machine.free_bytes > 2**20
