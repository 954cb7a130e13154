"""What is left of a machine beside a draft model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from minireason import LoadSettings
from minireason.host.hardware import Gpu
from minireason.models.plan import beside
from tests.models.test_fit import GIB, QWEN_1_5B, QWEN_7B, machine, plan


def test_what_a_draft_model_leaves_of_ram_and_of_each_gpu() -> None:
    gpus = tuple(Gpu(f"GPU{free}", "", free * GIB, 16 * GIB) for free in (12, 4))
    here = replace(machine(24), gpus=gpus)
    draft = plan(QWEN_1_5B, here, LoadSettings(n_ctx=4096))
    assert draft.vram_bytes > 2 * GIB
    left = beside(draft, here)
    assert here.free_bytes - left.free_bytes == draft.needed_bytes - draft.vram_bytes
    assert left.free_vram_bytes == pytest.approx(16 * GIB - draft.vram_bytes, abs=2)
    more, less = left.gpus
    assert more.free_bytes == pytest.approx(3 * less.free_bytes, abs=4)
    assert (more.total_bytes, less.total_bytes) == (16 * GIB, 16 * GIB)


def test_a_draft_model_in_unified_memory_and_on_the_cpu() -> None:
    for here in (machine(24, vram=18, unified=True), machine(24)):
        draft = plan(QWEN_1_5B, here, LoadSettings(n_ctx=4096))
        left = beside(draft, here)
        assert here.free_bytes - left.free_bytes == draft.needed_bytes
        taken = here.free_vram_bytes - left.free_vram_bytes
        assert taken == pytest.approx(draft.vram_bytes, abs=2)


def test_layers_stay_off_a_gpu_that_a_draft_model_has_filled() -> None:
    here = machine(24, vram=7)
    alone = plan(QWEN_7B, here)
    assert alone.n_gpu_layers == QWEN_7B.layers + 1
    draft = plan(QWEN_1_5B, here, LoadSettings(n_ctx=4096))
    both = plan(QWEN_7B, beside(draft, here))
    assert 0 < both.n_gpu_layers < alone.n_gpu_layers
    assert both.vram_bytes + draft.vram_bytes <= 7 * GIB
