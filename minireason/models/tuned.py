"""What was measured to be faster here: for one build, one CPU and one shape of a model.

Kept in machine.json. What is of another machine or build is ignored, and so is what is damaged.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from minireason.host import machine_file, state
from minireason.models.shape import Shape
from minireason.settings import KvType

MOST_ENTRIES = 50
"""Measurements that are kept, the newest."""

_KEY = "tuned"
_MOST_UBATCH, _MOST_THREADS, _MOST_COST = 4096, 512, 1e6


@dataclass(frozen=True, slots=True)
class StepCosts:
    """What a step of the model for several tokens costs, in steps for one with an empty cache."""

    sizes: tuple[int, ...]
    """The numbers of tokens that were measured, ascending from 1."""

    costs: tuple[float, ...]
    """The cost of each, with an empty cache."""

    per_1000_tokens: float = 0.0
    """What every 1,000 tokens in the cache of a sequence add, for each of its tokens."""

    def of(self, batch: int, depth: int = 0) -> float:
        """The cost of `batch` tokens, of which each attends to `depth` tokens.

        Between the sizes measured, and beyond them, along a straight line.
        """
        return self._empty(batch) + batch * depth / 1000 * self.per_1000_tokens

    def _empty(self, batch: int) -> float:
        known = list(zip(self.sizes, self.costs, strict=True))
        if len(known) == 1:
            return known[0][1] * batch
        pairs = list(itertools.pairwise(known))
        (low, low_cost), (high, high_cost) = next(
            (pair for pair in pairs if batch <= pair[1][0]), pairs[-1]
        )
        return low_cost + (high_cost - low_cost) * (batch - low) / (high - low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was faster, and the step costs with it."""

    flash_attention: bool
    """Whether attention is computed in blocks, without its scores in memory."""

    n_ubatch: int
    """Tokens that are computed at once."""

    n_threads: int
    """Threads on the CPU."""

    repack: bool
    """Whether the weights are rearranged for the CPU."""

    step_s: float
    """Seconds of a step for one token with an empty cache."""

    step_costs: StepCosts
    """What steps for more cost."""

    date: str
    """The day on which it was measured, such as "2026-11-29"."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a measurement holds for."""

    build: str
    """The build of llama.cpp."""

    cpu: str
    """The CPU's name."""

    cores: int
    """The cores that computing may use."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A measurement, and what it holds for."""

    place: Place
    """The build and the machine."""

    shape: str
    """The model's shape, see `shape_key`."""

    model: str
    """The model's name, for whoever reads it."""

    kv_type: KvType
    """How the KV cache was stored."""

    tuned: Tuned
    """What was measured."""


def shape_key(shape: Shape) -> str:
    """The dimensions of a model, and the size of its weights, which tells quantizations apart."""
    heads = f"{shape.heads}/{shape.kv_heads}x{shape.head_dim}"
    width = f"{shape.hidden}/{shape.feed_forward}"
    return f"{shape.arch} {shape.layers}x{width} {heads} {shape.vocab} {shape.weight_bytes}"


def known(place: Place, shape: Shape) -> Mapping[KvType, Tuned]:
    """What was measured of such a model here, by the kind of KV cache."""
    key = shape_key(shape)
    entries = [entry for entry in load() if (entry.place, entry.shape) == (place, key)]
    return {entry.kv_type: entry.tuned for entry in entries}


def remember(entry: Entry) -> None:
    """Keep a measurement instead of an older one of the same, and forget the oldest."""
    same = (entry.place, entry.shape, entry.kv_type)
    others = [old for old in load() if (old.place, old.shape, old.kv_type) != same]
    kept = [*others, entry][-MOST_ENTRIES:]
    machine_file.change(machine_file.path(), {_KEY: [asdict(one) for one in kept]})


def load() -> list[Entry]:
    """All measurements that are whole, oldest first."""
    return [entry for entry in map(_entry, _rows()) if entry]


def problem() -> str:
    """What is wrong with the file, as half a sentence; "" where nothing is."""
    content = machine_file.read(machine_file.path())
    if content.problem:
        return content.problem
    damaged = len(_rows()) - len(load())
    if damaged or not isinstance((content.value or {}).get(_KEY, []), list):
        return "holds measurements that make no sense"
    return ""


def _rows() -> list[object]:
    rows = (machine_file.read(machine_file.path()).value or {}).get(_KEY)
    return rows if isinstance(rows, list) else []


_FORM: state.Form = {
    "place": {"build": str, "cpu": str, "cores": int},
    "shape": str,
    "model": str,
    "kv_type": str,
    "tuned": {
        "flash_attention": bool,
        "n_ubatch": int,
        "n_threads": int,
        "repack": bool,
        "step_s": float,
        "step_costs": {"sizes": [int], "costs": [float], "per_1000_tokens": float},
        "date": str,
    },
}


def _entry(row: Any) -> Entry | None:
    """A row of the file as an entry; None where it is damaged."""
    if not state.fits(row, _FORM) or row["kv_type"] not in get_args(KvType):
        return None
    costs, values = row["tuned"]["step_costs"], row["tuned"]
    tuned = Tuned(
        flash_attention=values["flash_attention"],
        n_ubatch=values["n_ubatch"],
        n_threads=values["n_threads"],
        repack=values["repack"],
        step_s=values["step_s"],
        step_costs=StepCosts(
            tuple(costs["sizes"]), tuple(costs["costs"]), costs["per_1000_tokens"]
        ),
        date=values["date"],
    )
    place = Place(row["place"]["build"], row["place"]["cpu"], row["place"]["cores"])
    entry = Entry(place, row["shape"], row["model"], row["kv_type"], tuned)
    return entry if _makes_sense(tuned) else None


def _makes_sense(tuned: Tuned) -> bool:
    costs = tuned.step_costs
    return (
        0 < tuned.n_ubatch <= _MOST_UBATCH
        and 0 < tuned.n_threads <= _MOST_THREADS
        and tuned.step_s > 0
        and costs.sizes[:1] == (1,)
        and list(costs.sizes) == sorted(set(costs.sizes))
        and len(costs.sizes) == len(costs.costs)
        and all(0 < cost <= _MOST_COST for cost in costs.costs)
        and 0 <= costs.per_1000_tokens <= _MOST_COST
    )
