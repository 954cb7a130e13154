"""Sampling settings -> the links of one llama.cpp sampler chain."""

from __future__ import annotations

from typing import Any


def links(temperature: float, top_p: float, top_k: int, seed: int) -> list[tuple[Any, ...]]:
    """The chain top-k, top-p, temperature, draw; or only greedy at temperature 0.

    Top-p alone sorts the whole vocabulary (2 to 13 ms a token at 152k); after a top-k of 256 it takes 0.1 ms and loses
    nothing at 0.95.
    """
    if temperature == 0:
        return [("greedy",)]
    return [("top_k", top_k), ("top_p", top_p, 1), ("temp", temperature), ("dist", seed)]
