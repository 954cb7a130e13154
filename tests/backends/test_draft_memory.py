"""A draft model beside the one it drafts for, on a GPU that holds one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from minireason.backends import loading
from minireason.host.hardware import Gpu, Hardware
from minireason.models import cost
from minireason.settings import LoadSettings


@pytest.mark.parametrize(("draft_model", "on_gpu"), [(None, True), ("tiny", False)])
def test_the_memory_of_a_draft_model_on_a_gpu_is_no_one_elses(
    monkeypatch: pytest.MonkeyPatch, draft_model: str | None, on_gpu: bool
) -> None:
    free_bytes = 3 * cost.GPU_RUNTIME_BYTES // 2
    gpu = Gpu("GPU0", "Some GPU", free_bytes, free_bytes)
    here = replace(loading.machine(), gpus=(gpu,))

    def machine(*, measured: bool = False) -> Hardware:
        return here

    monkeypatch.setattr(loading, "machine", machine)
    opened = loading.open_model("tiny", LoadSettings(n_threads=1, draft_model=draft_model))
    assert (opened.plan.n_gpu_layers > 0) is on_gpu
    opened.close()
