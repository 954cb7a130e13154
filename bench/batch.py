"""What a batch buys: tokens per second of B chains side by side.

Against llama-cpp-python running them one after another and, where it is on the PATH, against
llama.cpp's own llama-batched-bench, which decodes random tokens without sampling.

`python bench/batch.py`, with `--model PATH` or with `--shape r1-qwen-1.5b`. All chains go on from
one prompt for `--length` tokens, whatever the model says. minireason runs its own loop and samplers
(`engine.scheduler`), the peer `Llama.generate`; its rate does not depend on how many chains follow
each other, so it runs `--peer-chains`. The time is that of everything after loading, the prompt
included. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from typing import Any

import speed

from minireason.engine.base import END, Step
from minireason.errors import EngineError

PROMPT_TOKENS = 64
TOOL = "llama-batched-bench"


class Chain:
    """Lets its sequence go on to a given length; see `minireason.engine.base.TokenHandler`."""

    def __init__(self, length: int) -> None:
        self.left = length

    def on_admit(self, _cached_tokens: int) -> None: ...

    def on_token(self, token: int, _draw: int) -> Step:
        self.left -= 1
        return Step([token]) if self.left else END

    def reserved_tokens(self, _n_ctx: int) -> int:
        return 0

    def on_context_limit(self, _n_ctx: int) -> None: ...

    def on_context_full(self) -> None:
        sys.exit(f"the context is full with {self.left} tokens to go; ask for a shorter --length")

    def on_removed(self) -> None: ...

    def on_error(self, error: EngineError) -> None:
        sys.exit(str(error))


def ours(arguments: argparse.Namespace) -> float:
    """Seconds for all chains."""
    from minireason.engine import sampler
    from minireason.engine.scheduler import Scheduler
    from minireason.engine.sequence import Sequence
    from minireason.reasoner import load

    chains, length = arguments.chains, arguments.length
    with load(
        arguments.model, n_threads=arguments.threads, repack=speed.repack(arguments)
    ) as reasoner:
        scheduler: Scheduler = reasoner.backend.scheduler
        prompt = reasoner.backend.encoder.text(speed.STORY * PROMPT_TOKENS)[:PROMPT_TOKENS]
        handlers = [Chain(length) for _ in range(chains)]
        settings = speed.SAMPLING
        began = time.perf_counter()
        for seed, handler in enumerate(handlers):
            links = sampler.links(
                settings["temperature"], settings["top_p"], int(settings["top_k"]), seed
            )
            scheduler.add(Sequence(list(prompt), sampler.SamplerChain(links), handler))
        while scheduler.step():
            pass
        return time.perf_counter() - began


def theirs(arguments: argparse.Namespace) -> float:
    """Seconds for all chains."""
    from llama_cpp import Llama

    if arguments.no_amx:
        from minireason.engine.devices import leave_out_amx

        leave_out_amx()
    threads = {"n_threads": arguments.threads, "n_threads_batch": arguments.threads}
    model = Llama(
        arguments.model, n_ctx=PROMPT_TOKENS + arguments.length + 8, verbose=False, **threads
    )
    prompt = model.tokenize((speed.STORY * PROMPT_TOKENS).encode(), add_bos=False)[:PROMPT_TOKENS]
    wanted = {
        "top_k": speed.SAMPLING["top_k"],
        "top_p": speed.SAMPLING["top_p"],
        "temp": speed.SAMPLING["temperature"],
        "min_p": 0.0,
    }
    began = time.perf_counter()
    for seed in range(arguments.chains):
        model.set_seed(seed)
        for count, _ in enumerate(model.generate(prompt, repeat_penalty=1.0, **wanted), 1):
            if count == arguments.length:
                break
    return time.perf_counter() - began


def measure(peer: str, chains: int, length: int, arguments: argparse.Namespace) -> float:
    """Tokens per second in all, in a process of its own."""
    command = [
        sys.executable,
        __file__,
        f"--child={peer}",
        f"--model={arguments.model}",
        f"--threads={arguments.threads}",
    ]
    command += [f"--chains={chains}", f"--length={length}", *speed.flags(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode < 0 and peer == "theirs" and not arguments.no_amx:
        print(
            "llama-cpp-python crashed with weights repacked for AMX; it runs without AMX",
            file=sys.stderr,
        )
        arguments.no_amx = True
        return measure(peer, chains, length, arguments)
    if done.returncode:
        sys.exit(done.stderr)
    return chains * length / float(done.stdout.splitlines()[-1])


def batched_bench(chains: int, length: int, arguments: argparse.Namespace) -> float | None:
    """Tokens per second in all of llama.cpp's tool; None where it is not on the PATH."""
    if not shutil.which(TOOL):
        return None
    sizes = {
        "-c": chains * (length + PROMPT_TOKENS) + 256,
        "-npp": PROMPT_TOKENS,
        "-ntg": length,
        "-npl": chains,
    }
    sizes |= {"-t": arguments.threads, "-tb": arguments.threads}
    command = [
        TOOL,
        "-m",
        arguments.model,
        "-pps",
        "--output-format",
        "jsonl",
        *(str(part) for pair in sizes.items() for part in pair),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        sys.exit(f"{TOOL} failed:\n{done.stderr[-2000:]}")
    return chains * length / float(json.loads(lines[-1])["t"])


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = speed.parser_of(__doc__)
    parser.add_argument("--batches", type=numbers, default=[1, 2, 4, 8, 16])
    parser.add_argument("--lengths", type=numbers, default=[256])
    parser.add_argument("--peer-chains", type=int, default=2)
    parser.add_argument("--no-amx", action="store_true", help="see speed.py")
    parser.add_argument("--no-repack", action="store_true", help="see speed.py")
    parser.add_argument("--child", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--chains", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    arguments = speed.parse(parser)
    if arguments.child:
        print({"ours": ours, "theirs": theirs}[arguments.child](arguments))
        return
    print(
        "| tokens a chain | chains at a time | tokens/s | ms a step "
        f"| of one chain | of llama-cpp-python | of {TOOL} |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    rows: list[dict[str, Any]] = []
    for length in arguments.lengths:
        peer = measure("theirs", arguments.peer_chains, length, arguments)
        print(
            f"| {length:,} | llama-cpp-python | {peer:.1f} | {1000 / peer:.0f} | | 1.00 | |",
            flush=True,
        )
        for chains in arguments.batches:
            rate = measure("ours", chains, length, arguments)
            tool = batched_bench(chains, length, arguments)
            rows.append(
                {
                    "length": length,
                    "chains": chains,
                    "tokens_per_s": rate,
                    "peer_tokens_per_s": peer,
                    "tool_tokens_per_s": tool,
                }
            )
            alone = next(row["tokens_per_s"] for row in rows if row["length"] == length)
            step_ms = 1000 * chains / rate
            of = f"{rate / alone:.2f} | {rate / peer:.2f} | {f'{rate / tool:.2f}' if tool else ''}"
            print(f"| {length:,} | {chains} | {rate:.1f} | {step_ms:.0f} | {of} |", flush=True)
    named = {name: getattr(arguments, name) for name in ("model", "threads", "no_amx", "no_repack")}
    print(json.dumps({**named, "rows": rows}))


if __name__ == "__main__":
    main()
