"""How likely a sampled token was, from the raw logits: temperature 1, and before any filter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minireason.engine.logits import Logits, likeliest


@dataclass(frozen=True, slots=True)
class Logprobs:
    """The natural logarithm of a token's probability, and the likeliest ids with theirs."""

    logprob: float
    top: tuple[tuple[int, float], ...]


class RawLogits:
    """What the token at hand was sampled from, before grammar mask, top_k and temperature.

    The engine keeps it before each draw, for the token handler that is asked about that draw.
    `top` is how many of the likeliest tokens are told.
    """

    def __init__(self, top: int) -> None:
        self._top = top
        self._logits: Logits = np.zeros(0, np.float32)

    def keep(self, logits: Logits) -> None:
        """Keep those of the next draw, in an array of their own."""
        self._logits = logits

    def logprobs(self, token: int) -> Logprobs:
        """That of a token, and those of the likeliest, the highest first."""
        logits = self._logits
        highest = logits.max()
        total = highest + np.log(np.exp(logits - highest).sum(dtype=np.float64))
        return Logprobs(
            float(logits[token] - total),
            tuple((index, float(logits[index] - total)) for index in self._likeliest(logits)),
        )

    def _likeliest(self, logits: Logits) -> list[int]:
        if not self._top:
            return []
        ids = likeliest(logits, self._top)
        order = np.argsort(-logits[ids], kind="stable")
        return [int(index) for index in ids[order[: self._top]]]
