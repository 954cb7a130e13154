"""Sampling settings -> a chain of llama.cpp samplers, and the tokens it draws."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minireason.engine.handle import Handle, Owner
from minireason.engine.library import C, fill
from minireason.engine.logits import Logits

_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def links(temperature: float, top_p: float, top_k: int, seed: int) -> list[tuple[Any, ...]]:
    """The chain top-k, top-p, temperature, draw; or only greedy at temperature 0.

    Top-p alone sorts the whole vocabulary (2 to 13 ms a token at 152k); after a top-k of 256 it
    takes 0.1 ms and loses nothing at 0.95.
    """
    if temperature == 0:
        return [("greedy",)]
    return [("top_k", top_k), ("top_p", top_p, 1), ("temp", temperature), ("dist", seed)]


class SamplerChain:
    """A chain of llama.cpp samplers from links such as ("top_k", 256), in order."""

    def __init__(self, links: Sequence[tuple[Any, ...]]) -> None:
        self.looks_at = _looks_at(links[0])
        self._number = -1
        rows = np.zeros(0, _TOKEN_DATA)
        self._buffer = rows, rows.ctypes.data_as(C.llama_token_data_p)
        self._candidates = C.llama_token_data_array()
        params = fill(C.llama_sampler_chain_default_params(), no_perf=True)
        make = functools.partial(C.llama_sampler_chain_init, params)
        self._handle = Handle(make, C.llama_sampler_free)
        with self._handle.lock:
            owner = self._handle.get()
            for name, *arguments in links:
                link = getattr(C, f"llama_sampler_init_{name}")(*arguments)
                C.llama_sampler_chain_add(owner.pointer, link)

    @property
    def owner(self) -> Owner:
        """The C object; raises EngineError after close()."""
        return self._handle.get()

    def draw(self, number: int, ids: npt.NDArray[np.int32], logits: Logits) -> int:
        """Token number `number` of this chain, out of these candidates.

        The chain's random numbers go on within the one C call that also writes down which candidate
        it was. So an interruption comes before both or after both, and `drawn` knows which.
        """
        count = len(ids)
        if count > len(self._buffer[0]):
            larger = np.zeros(count, _TOKEN_DATA)
            self._buffer = larger, larger.ctypes.data_as(C.llama_token_data_p)
        whole, data = self._buffer
        rows = whole[:count]
        rows["id"], rows["logit"] = ids, logits[ids]
        candidates = self._candidates
        candidates.data, candidates.size, candidates.sorted = data, count, False
        candidates.selected = -1
        self._number = number
        with self._handle.lock:
            owner = self._handle.get()
            C.llama_sampler_apply(owner.pointer, ctypes.byref(candidates))
        # None of the links looks at what came before, so none has to be told what was accepted.
        return int(candidates.data[candidates.selected].id)

    def drawn(self, number: int) -> int | None:
        """Token number `number` if it is the last one that was drawn."""
        candidates = self._candidates
        if self._number != number or candidates.selected < 0:
            return None
        return int(candidates.data[candidates.selected].id)

    def close(self) -> None:
        """Free the samplers."""
        self._handle.close()


def _looks_at(first: tuple[Any, ...]) -> int:
    """How many of the largest logits a chain with this first link can choose from; 0: all."""
    match first:
        case ("greedy",):
            return 1
        case ("top_k", int(count)):
            return count
    return 0
