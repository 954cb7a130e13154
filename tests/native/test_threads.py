"""Threads that change between the steps of the real llama.cpp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minireason.engine import sampler
from minireason.engine.base import Batch
from minireason.engine.library import C
from minireason.engine.model import Model
from tests.native.contexts import small

LENGTH = 60


def greedy(
    path: Path, threads: list[int], *, repack: bool = False
) -> tuple[list[int], list[bytes]]:
    """Token ids and logits of a greedy text, each step on the next of `threads`, in turn."""
    model = Model(path, repack=repack)
    context = small(model, n_threads=max(threads))
    chain = sampler.SamplerChain(sampler.links(0, 1.0, 1, 1))
    tokens, logits = [1, 9, 4], []
    context.decode(Batch.of_slot(0, tokens[:2], 0, output=False))
    for draw in range(LENGTH):
        context.governor.threads = threads[draw % len(threads)]
        context.decode(Batch.of_slot(0, tokens[-1:], len(tokens) - 1))
        assert C.llama_n_threads(context.owner.pointer) == context.governor.threads
        row = C.llama_get_logits_ith(context.owner.pointer, 0)
        logits.append(np.ctypeslib.as_array(row, (model.vocabulary.n_vocab,)).tobytes())
        tokens.append(context.sample(chain, 0, draw))
    context.close()
    model.close()
    return tokens, logits


@pytest.mark.parametrize("threads", [[2], [1, 2], [1, 1, 2, 3]])
def test_the_number_of_threads_changes_no_bit(tiny_path: Path, threads: list[int]) -> None:
    assert greedy(tiny_path, threads) == greedy(tiny_path, [1])


@pytest.mark.parametrize("repack", [False, True])
def test_nor_with_four_bit_weights(random_path: Path, repack: bool) -> None:
    alone, both = (greedy(random_path, threads, repack=repack) for threads in ([1], [1, 2]))
    assert both == alone
