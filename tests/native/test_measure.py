"""Probes: what they leave out, and that llama.cpp counts it as done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from minireason import EngineError
from minireason.engine.context_params import ContextParams
from minireason.engine.measure import Probe, decode_s, prefill_s
from minireason.engine.model import Model

ONE_THREAD = ContextParams(64, 32, 1, "f16", flash_attention=False)


@pytest.fixture(scope="module")
def model(tiny_path: Path) -> Iterator[Model]:
    loaded = Model(tiny_path, n_gpu_layers=0)
    yield loaded
    loaded.close()


def written(model: Model, layers: int | None) -> float:
    """The share of the KV cache that reading 64 tokens computes."""
    with Probe(model, ONE_THREAD, layers=layers) as probe:
        probe.read(64)
        return float(np.count_nonzero(np.frombuffer(probe.state(), np.uint8))) / 64


def test_only_the_first_layers_are_computed(model: Model) -> None:
    none, one, two, whole = (written(model, layers) for layers in (0, 1, 2, None))
    assert none < one / 10
    assert two - one == pytest.approx(one - none, rel=0.2)
    assert whole > 1.5 * two - none


@pytest.mark.parametrize("flash_attention", [False, True])
def test_tokens_that_were_never_read_are_attended_to(model: Model, flash_attention: bool) -> None:
    params = replace(ONE_THREAD, flash_attention=flash_attention)
    with Probe(model, params, n_slots=3, slot_tokens=1024) as probe:
        probe.deepen(700)
        empty = len(probe.state())
        assert decode_s(probe, 3) > 0
        assert prefill_s(probe, 200) > 0
        assert (probe.depth, len(probe.state())) == (700, empty)
        probe.step(3)  # a gap in the positions would be refused
        assert len(probe.state()) > empty
        probe.deepen(10)
        assert len(probe.state()) < empty
        probe.step(1)


def test_a_closed_probe_and_an_impossible_batch(model: Model) -> None:
    probe = Probe(model, ONE_THREAD)
    with pytest.raises(ValueError, match="abort"):
        probe.read(65)
    with pytest.raises(ValueError, match="abort"):
        probe.step(2)
    probe.close()
    with pytest.raises(EngineError, match="closed"):
        probe.step(1)
