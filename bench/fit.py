"""Predicted and measured peak memory side by side, with the whole context filled.

`python bench/fit.py` runs SmolLM2-135M and random weights in the 1.5B shape, `--all` the 7B shape
too (4.7 GB of disk, several minutes). Each run is a process of its own: it loads as the plan says,
reads a prompt that leaves few tokens, generates until the context is full, and reports VmHWM. Parts
are the buffers of llama.cpp's log and the resident pages of the file; the rest of the peak stands
against runtime and growth. Linux only. The last line is one JSON document.

`--pages` tells memory of the process's own, which must be free, from pages of the file, which the
system can read again: with weights rearranged and not, after a short question with a KV cache that
has grown to the whole context, in MiB.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from subject import shape_file, smollm2_file

MIB = 2**20
RUNS = (
    ("smollm2", 2048, "f16"),
    ("smollm2", 8192, "f16"),
    ("smollm2", 8192, "q8_0"),
    ("r1-qwen-1.5b", 1024, "f16"),
    ("r1-qwen-1.5b", 4096, "f16"),
)
LARGE = (("r1-qwen-7b", 1024, "f16"), ("r1-qwen-7b", 2048, "f16"))
PAGES = (("r1-qwen-1.5b", 8192, "f16"),)
LARGE_PAGES = (("r1-qwen-7b", 8192, "f16"),)
LEFT = 24  # tokens that the prompt leaves


def model_file(name: str) -> Path:
    return smollm2_file() if name == "smollm2" else shape_file(name)


def status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    return next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(field)
    )


def file_pages(path: Path) -> int:
    """Bytes of a file that are resident in this process."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-", line):
            inside = line.endswith(str(path.resolve()))
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def prompt_of(reasoner: Any, tokens: int) -> str:
    """A text that makes a prompt of so many tokens, or a few less."""
    unit = "the fox and the hare "
    one, nine = (
        len(reasoner.backend.encoder.encode([{"role": "user", "content": unit * count}]).ids)
        for count in (1, 9)
    )
    each = (nine - one) / 8
    return unit * int((tokens - one) / each)


def child(arguments: argparse.Namespace) -> None:
    """Load, fill the context, and print plan and measurement as JSON."""
    from minireason.engine import library
    from minireason.reasoner import load

    buffers: dict[str, float] = {}

    def on_line(line: str) -> None:
        if size := re.search(r"(KV|output|compute) buffer size = +([\d.]+) MiB", line):
            buffers[size[1]] = float(size[2]) * MIB

    library.listen(on_line)
    path = Path(arguments.model)
    with load(
        path, n_ctx=arguments.ctx, kv_type=arguments.kv, n_threads=arguments.threads, n_gpu_layers=0
    ) as reasoner:
        reply = reasoner.ask(prompt_of(reasoner, arguments.ctx - LEFT), temperature=1.0, seed=1)
        measured = {
            "weights": file_pages(path),
            "kv": round(buffers["KV"]),
            "compute": round(buffers["compute"] + buffers["output"]),
            "needed": status("VmHWM"),
            "at_the_end": status("VmRSS"),
            "n_ctx": reasoner.backend.context.n_ctx,
            "tokens": reply.usage.prompt_tokens
            + reply.usage.thinking_tokens
            + reply.usage.answer_tokens,
            "finish_reason": reply.finish_reason,
        }
        print(json.dumps({"plan": dataclasses.asdict(reasoner.plan), "measured": measured}))


def pages_child(arguments: argparse.Namespace) -> None:
    """Load, let the cache grow, ask, and print plan and memory as JSON."""
    from minireason.reasoner import load

    with load(
        arguments.model,
        n_ctx=arguments.ctx,
        kv_type=arguments.kv,
        n_threads=arguments.threads,
        n_gpu_layers=0,
        repack=not arguments.no_repack,
    ) as reasoner:
        reasoner.backend.scheduler.reserve(arguments.ctx)
        reasoner.ask("What is 2 + 3?", thinking_budget=4, max_tokens=16, loop_check=False)
        measured = {
            "own": status("RssAnon"),
            "file": file_pages(Path(arguments.model)),
            "rss": status("VmRSS"),
            "needed": status("VmHWM"),
        }
        print(json.dumps({"plan": dataclasses.asdict(reasoner.plan), "measured": measured}))


def measure(name: str, n_ctx: int, kv_type: str, threads: int, *more: str) -> dict[str, Any]:
    """One run in a process of its own."""
    options = [
        f"--model={model_file(name)}",
        f"--ctx={n_ctx}",
        f"--kv={kv_type}",
        f"--threads={threads}",
        *more,
    ]
    done = subprocess.run(
        [sys.executable, __file__, "--child", *options], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{name} at {n_ctx} failed:\n{done.stderr}")
    return {"model": name, **json.loads(done.stdout.splitlines()[-1])}


def report(run: dict[str, Any]) -> None:
    """One row of the table; adds the error to the run."""
    plan, measured = run["plan"], run["measured"]
    parts = ("weights", "kv", "compute")
    pairs = [(plan[f"{part}_bytes"], measured[part]) for part in parts]
    pairs.append(
        (
            plan["runtime_bytes"] + plan["growth_bytes"],
            measured["needed"] - sum(measured[part] for part in parts),
        )
    )
    pairs.append((plan["needed_bytes"], measured["needed"]))
    run["error"] = plan["needed_bytes"] / measured["needed"] - 1
    cells = " | ".join(f"{predicted / MIB:6.1f} / {real / MIB:6.1f}" for predicted, real in pairs)
    print(
        f"| {run['model']:12} | {plan['n_ctx']:5} | {plan['kv_type']:4} | {cells} "
        f"| {run['error']:+6.1%} |",
        flush=True,
    )


def report_pages(runs: Sequence[tuple[str, int, str]], threads: int) -> None:
    """One row for each run with weights rearranged, and one without."""
    titles = ("model", "n_ctx", "rearranged", "planned", "own memory", "file", "resident", "peak")
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for name, n_ctx, kv_type in runs:
        for more in ((), ("--no-repack",)):
            run = measure(name, n_ctx, kv_type, threads, "--pages", *more)
            sizes = [run["plan"]["needed_bytes"], *run["measured"].values()]
            cells = " | ".join(f"{size / MIB:,.0f}" for size in sizes)
            rearranged = "yes" if run["plan"]["repack"] else "no"
            print(f"| {name} | {n_ctx:,} | {rearranged} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="the 7B shape too")
    parser.add_argument("--pages", action="store_true", help="own memory and pages of the file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-repack", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    for name, kind in (("--model", str), ("--ctx", int), ("--kv", str)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        (pages_child if arguments.pages else child)(arguments)
        return
    if arguments.pages:
        report_pages(PAGES + (LARGE_PAGES if arguments.all else ()), arguments.threads)
        return
    print("Peak memory with the context full, in MiB: predicted / measured\n")
    titles = (
        "model",
        "n_ctx",
        "kv",
        "weights",
        "KV cache",
        "compute",
        "runtime and growth",
        "needed (VmHWM)",
        "error",
    )
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    runs = []
    for name, n_ctx, kv_type in RUNS + (LARGE if arguments.all else ()):
        runs.append(measure(name, n_ctx, kv_type, arguments.threads))
        report(runs[-1])
    print(json.dumps({"machine": platform.platform(), "threads": arguments.threads, "runs": runs}))


if __name__ == "__main__":
    main()
