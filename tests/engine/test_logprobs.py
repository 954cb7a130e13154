from __future__ import annotations

import numpy as np
import pytest

from minireason.engine.logprobs import RawLogits


@pytest.mark.parametrize("vocabulary", [5, 262, 1300, 49_152, 151_936, 152_000 - 37])
@pytest.mark.parametrize("top", [0, 1, 5, 20])
def test_it_is_the_plain_formula(vocabulary: int, top: int) -> None:
    rng = np.random.default_rng(vocabulary)
    for spread in (0.1, 3.0, 20.0):
        logits = (rng.standard_normal(vocabulary) * spread).astype(np.float32)
        exact = logits.astype(np.float64)
        wanted = exact - exact.max() - np.log(np.exp(exact - exact.max()).sum())
        best = np.argsort(-exact, kind="stable")[:top]
        raw = RawLogits(top)
        raw.keep(logits)
        for token in (0, vocabulary - 1, int(logits.argmax())):
            told = raw.logprobs(token)
            assert told.logprob == pytest.approx(wanted[token], abs=1e-4)
            assert [index for index, _ in told.top] == list(best)
            assert [logprob for _, logprob in told.top] == pytest.approx(wanted[best], abs=1e-4)


def test_of_equal_ones_the_first_comes_first() -> None:
    raw = RawLogits(3)
    raw.keep(np.array([1, 2, 1, 2, 1], np.float32))
    assert [index for index, _ in raw.logprobs(0).top] == [1, 3, 0]
