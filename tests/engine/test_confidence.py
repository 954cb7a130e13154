from __future__ import annotations

import numpy as np
import pytest

from minireason.engine.confidence import TOP, token_confidence


@pytest.mark.parametrize("vocabulary", [5, 20, 21, 262, 1300, 49_152, 151_936, 152_000 - 37])
def test_it_is_the_plain_formula(vocabulary: int) -> None:
    rng = np.random.default_rng(vocabulary)
    for spread in (0.1, 3.0, 20.0):
        logits = (rng.standard_normal(vocabulary) * spread).astype(np.float32)
        before = logits.copy()
        exact = logits.astype(np.float64)
        log_probabilities = exact - exact.max() - np.log(np.exp(exact - exact.max()).sum())
        assert token_confidence(logits) == pytest.approx(
            -np.sort(log_probabilities)[-TOP:].mean(), rel=1e-4
        )
        assert np.array_equal(logits, before), "llama.cpp's own memory is only read"


def test_a_sure_model_has_a_high_confidence() -> None:
    sure, unsure = np.zeros(1000, dtype=np.float32), np.zeros(1000, dtype=np.float32)
    sure[3] = 30
    assert token_confidence(sure) > token_confidence(unsure) > 0
