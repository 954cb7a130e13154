"""Decode and prefill beside another program: quiet, one core busy, quiet again, in one run.

`python bench/busy.py`, with `--model PATH` or `--shape r1-qwen-1.5b`; `--prefill` reads a prompt in
batches instead of decoding. In turn: minireason as it is, minireason with its threads pinned
(`reproducible=True`), and llama-bench where it is on the PATH, the better of -fa 0 and 1. The rates
are those from two seconds after a change on, which is what an answer may take; "answered" is how
long it took to come within 10% of the rate that followed. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import subject
import tools

ANSWER_S = 2.0
PHASES = ("quiet", "busy", "quiet again")
PARTS_S = 0.25
N_CTX = 512
DECODED_TOKENS = 64
"""Decoding begins anew after so many, as each run of llama-bench does."""
PROGRAM = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""Keeps a core busy as long as this one runs."""


@contextmanager
def load(busy: int) -> Iterator[None]:
    """Programs that each keep a core busy meanwhile."""
    programs = [subprocess.Popen([sys.executable, "-c", PROGRAM]) for _ in range(busy)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def child(arguments: argparse.Namespace) -> None:
    """Run the phases with one model; prints the rates and the seconds of each answer."""
    from minireason.backends import loading
    from minireason.engine.base import Batch
    from minireason.settings import LoadSettings

    pinned = arguments.child == "pinned"
    settings = LoadSettings(n_threads=arguments.threads, n_ctx=N_CTX, reproducible=pinned)
    backend = loading.open_model(arguments.model, settings)
    size = backend.context.n_batch if arguments.prefill else 1
    ends: list[float] = []
    changes: list[float] = []
    position = 0
    for phase in PHASES:
        with load(arguments.busy if phase == "busy" else 0):
            changes.append(time.perf_counter())
            while time.perf_counter() < changes[-1] + arguments.seconds:
                if position + size > (N_CTX if arguments.prefill else DECODED_TOKENS):
                    backend.context.trim(0, 0)
                    position = 0
                tokens = [17 + place % 100 for place in range(position, position + size)]
                backend.context.decode(Batch.of_slot(0, tokens, position))
                position += size
                ends.append(time.perf_counter())
    backend.close()
    changes.append(ends[-1])
    phases = [
        [end - begun for end in ends if begun <= end <= over] for begun, over in pairwise(changes)
    ]
    print(
        json.dumps([{"rate": rate(phase) * size, "answered_s": answer(phase)} for phase in phases])
    )


def rate(ends: list[float]) -> float:
    """Steps per second once the change is answered."""
    late = [end for end in ends if end >= ANSWER_S]
    if len(late) < 2:  # a step of seconds
        return len(ends) / ends[-1]
    return (len(late) - 1) / (late[-1] - late[0])


def answer(ends: list[float]) -> float:
    """Seconds until steps stay within 10% of the rate that follows."""
    steps = [(begun, over - begun) for begun, over in pairwise(ends)]
    usual = 1 / rate(ends)
    at = 0.0
    while at < ANSWER_S:
        part = [took for begun, took in steps if at <= begun < at + PARTS_S]
        if part and statistics.mean(part) <= usual / 0.9:
            return at
        at += PARTS_S / 5
    return at


def llama_bench(arguments: argparse.Namespace, busy: int) -> float:
    """Tokens per second of llama-bench, the better of its two ways of attention."""
    model = tools.Subject(arguments.model, arguments.threads)
    prompt, tokens = (N_CTX, 0) if arguments.prefill else (0, DECODED_TOKENS)
    with load(busy):
        return max(
            statistics.median(
                tools.bench(model, prompt=prompt, tokens=tokens, flash=flash)
                for _ in range(arguments.repeats)
            )
            for flash in (False, True)
        )


def measure(what: str, arguments: argparse.Namespace) -> list[dict[str, float]]:
    """The phases of one run."""
    command = [sys.executable, __file__, "--child", what, "--model", arguments.model]
    command += [f"--{name}={getattr(arguments, name)}" for name in ("threads", "busy", "seconds")]
    if arguments.prefill:
        command.append("--prefill")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    phases: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return phases


def median(runs: list[list[dict[str, float]]], phase: int, key: str) -> float:
    return statistics.median(run[phase][key] for run in runs)


def report(
    results: dict[str, list[list[dict[str, float]]]], bench: list[list[float]]
) -> dict[str, Any]:
    """Print the table; gives what it holds."""
    print(f"{'tokens/s':24} {'quiet':>8} {'busy':>8} {'again':>8} {'answered, s':>16}")
    table: dict[str, Any] = {}
    for what, runs in results.items():
        rates = [median(runs, phase, "rate") for phase in range(3)]
        answers = [median(runs, phase, "answered_s") for phase in (1, 2)]
        table[what] = {"rates": rates, "answered_s": answers}
        cells = " ".join(f"{value:8.1f}" for value in rates)
        print(f"minireason, {what:12} {cells} {answers[0]:8.2f} {answers[1]:7.2f}")
    if bench:
        rates = [statistics.median(run[phase] for run in bench) for phase in range(2)]
        table["llama-bench"] = {"rates": rates}
        print(f"{'llama-bench':24} {rates[0]:8.1f} {rates[1]:8.1f}")
    return table


def main() -> None:
    parser = subject.parser_of(__doc__)
    parser.add_argument("--busy", type=int, default=1, help="cores that are kept busy")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each phase")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3, help="of llama-bench")
    parser.add_argument("--prefill", action="store_true", help="read batches, decode nothing")
    parser.add_argument("--child", choices=("adapting", "pinned"), help=argparse.SUPPRESS)
    arguments = subject.parse(parser)
    if arguments.child:
        child(arguments)
        return
    results: dict[str, list[list[dict[str, float]]]] = {"adapting": [], "pinned": []}
    bench: list[list[float]] = []
    for _ in range(arguments.rounds):
        for what, runs in results.items():
            runs.append(measure(what, arguments))
        if shutil.which(tools.BENCH):
            bench.append([llama_bench(arguments, busy) for busy in (0, arguments.busy)])
    table = report(results, bench)
    print(json.dumps({"model": Path(arguments.model).name, "busy": arguments.busy, **table}))


if __name__ == "__main__":
    main()
