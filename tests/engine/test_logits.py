from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.engine.base import all_but
from minireason.engine.logits import forbid, likeliest


@given(
    seed=st.integers(0, 2**32 - 1),
    vocabulary=st.one_of(st.integers(1, 400), st.integers(1_000, 30_000)),
    count=st.integers(0, 300),
    levels=st.sampled_from([2, 50, 10**6]),
)
def test_the_likeliest_are_among_them_and_in_order(
    seed: int, vocabulary: int, count: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.integers(-levels, levels, vocabulary).astype(np.float32)
    ids = likeliest(logits, count)
    assert np.all(np.diff(ids) > 0)
    assert len(ids) >= min(count, vocabulary)
    left_out = np.delete(logits, ids)
    if len(left_out):  # nothing left out is as large as the `count`-th largest
        assert count > 0
        assert left_out.max() < np.sort(logits)[-count]


@pytest.mark.parametrize("allowed", [1, 100, 400])
def test_masked_logits(allowed: int) -> None:
    logits = np.full(100_000, -np.inf, dtype=np.float32)
    kept = np.random.default_rng(allowed).choice(len(logits), allowed, replace=False)
    logits[kept] = 1
    assert set(kept) <= set(likeliest(logits, 256).tolist())


def test_few_are_looked_at() -> None:
    logits = np.random.default_rng(1).standard_normal(151_936).astype(np.float32)
    assert 256 <= len(likeliest(logits, 256)) < 600


@pytest.mark.parametrize("size", [1, 31, 32, 33, 100])
def test_a_mask_forbids_what_it_has_no_bit_for(size: int) -> None:
    for token in range(size):
        logits = np.zeros(size, np.float32)
        forbid(logits, all_but(token, size))
        assert np.flatnonzero(logits).tolist() == [token]
        assert logits[token] == -np.inf
