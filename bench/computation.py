"""What flash attention, micro-batches and rearranged weights gain on this machine.

    python bench/computation.py MODEL.gguf [--threads 2] [--rounds 3] [--no-repack]

Times steps of one sequence at several depths, steps of more sequences, and the reading of 512
tokens, without and with flash attention in turn, over all layers and the output. Each time is the
best of some rounds. Nothing is sampled.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from minireason.engine.context_params import ContextParams
from minireason.engine.measure import Probe, decode_s, prefill_s
from minireason.engine.model import Model
from minireason.host import hardware
from minireason.host.load import OtherLoad

DEPTHS, UBATCHES, PREFILL = (0, 1024, 4096), (128, 256, 512), 512
BATCHES = [(2, 0), (4, 0), (8, 0), (16, 0), (4, 1024), (8, 1024)]


def decodes(model: Model, threads: int, rounds: int) -> None:
    """One sequence at each depth, and batches, with and without flash attention."""
    for batch, depth in [*((1, depth) for depth in DEPTHS), *BATCHES]:
        with probes(model, threads, 128, batch, depth) as both:
            for probe in both:
                probe.deepen(depth)
            timers = [functools.partial(decode_s, probe, batch) for probe in both]
            report(f"decode of {batch} at {depth}", best(rounds * 5, timers))


def prefills(model: Model, threads: int, rounds: int) -> None:
    """Reading a prompt with each micro-batch, with and without flash attention."""
    for ubatch in UBATCHES:
        with probes(model, threads, ubatch, 1, PREFILL) as both:
            timers = [functools.partial(prefill_s, probe, PREFILL) for probe in both]
            report(f"prefill of {PREFILL} by {ubatch}", best(rounds, timers))


@contextmanager
def probes(
    model: Model, threads: int, ubatch: int, slots: int, depth: int
) -> Iterator[tuple[Probe, Probe]]:
    """One without and one with flash attention."""
    off = ContextParams(PREFILL, ubatch, threads, "f16", flash_attention=False)
    on = replace(off, flash_attention=True)
    with (
        Probe(model, off, n_slots=slots, slot_tokens=depth + 256) as first,
        Probe(model, on, n_slots=slots, slot_tokens=depth + 256) as second,
    ):
        yield first, second


def best(rounds: int, timers: Sequence[Callable[[], float]]) -> list[float]:
    """The best time of each, in turn, after one that builds the graph."""
    for timer in timers:
        timer()
    times = [[timer() for timer in timers] for _ in range(rounds)]
    return [min(column) for column in zip(*times, strict=True)]


def report(what: str, seconds: Sequence[float]) -> None:
    """A line: without and with flash attention, in ms, and the ratio."""
    off, on = seconds
    print(f"{what:24} {off * 1e3:9.2f} {on * 1e3:9.2f}   {off / on:5.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=hardware.probe().cores)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["decode", "prefill"])
    parser.add_argument("--no-repack", action="store_true")
    asked = parser.parse_args()
    loaded = Model(asked.model, n_gpu_layers=0, repack=not asked.no_repack)
    others = OtherLoad()
    print(f"{'ms, flash attention':24} {'off':>9} {'on':>9}   off/on")
    if asked.only != "prefill":
        decodes(loaded, asked.threads, asked.rounds)
    if asked.only != "decode":
        prefills(loaded, asked.threads, asked.rounds)
    print(f"others kept {others.cpus():.2f} CPUs busy")
