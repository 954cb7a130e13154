"""What a start costs: `python bench/startup.py`, with `--model PATH` or `--shape r1-qwen-1.5b`.

First `minireason ask` from the start of its process to the first token that it writes, beside a
script of ten lines for llama-cpp-python, in turn: one file, one question, the same threads, both
into pipes. Then the CPU seconds of short commands, whole processes. The last line is one JSON
document.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import selectors
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import subject

PROGRAM = str(Path(sys.executable).with_name("minireason"))
QUESTION = "What is 347 + 586?"
SCRIPT = """
import sys
from llama_cpp import Llama
path, threads, question = sys.argv[1], int(sys.argv[2]), sys.argv[3]
model = Llama(path, n_ctx=4096, n_threads=threads, n_threads_batch=threads, verbose=False)
messages = [{"role": "user", "content": question}]
for chunk in model.create_chat_completion(messages, stream=True):
    print(chunk["choices"][0]["delta"].get("content", ""), end="", flush=True)
"""
WITHOUT_AMX = """
import time
began = time.perf_counter()
import llama_cpp
imported = time.perf_counter()
from minireason.engine.devices import leave_out_amx
leave_out_amx()
print(time.perf_counter() - imported, file=__import__("sys").stderr, flush=True)
"""
"""Goes before the script where that crashes, see bench/peers.py; its own time is taken off."""

ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
"""With it a checkout is compiled anew at each start, and what pip has installed is not."""

COMMANDS = {
    "minireason --help": ["--help"],
    "minireason ask --model tiny, to the first token": [
        "ask",
        "--model",
        "tiny",
        "--max-tokens",
        "1",
        QUESTION,
    ],
    "minireason ask --model tiny, whole": ["ask", "--model", "tiny", QUESTION],
}


class Start(NamedTuple):
    """What it took to the first token."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def start(command: list[str], *, own_stderr: bool = False) -> Start | None:
    """Run a command until it writes something, then kill it; None if it ends without.

    With `own_stderr` what it writes to standard error is the seconds that do not count.
    """
    began = time.perf_counter()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=ENVIRONMENT, **pipes)
    assert process.stdout
    assert process.stderr
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not own_stderr:
            selector.register(process.stderr, selectors.EVENT_READ)
        ready = selector.select()[0][0].fileobj
    wall_s = time.perf_counter() - began
    first = os.read(ready.fileno(), 4096) if not isinstance(ready, int) else b""
    os.kill(process.pid, signal.SIGKILL)  # `kill` of Popen would take what it used
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    said = process.stderr.read().decode()
    process.stdout.close()
    process.stderr.close()
    if not first:
        return None
    if first.startswith(b"minireason:"):
        sys.exit(first.decode())
    uncounted_s = float(said or 0) if own_stderr else 0.0
    cpu_s = used.ru_utime + used.ru_stime
    return Start(wall_s - uncounted_s, cpu_s - uncounted_s, used.ru_maxrss / 1024)


def ours(arguments: argparse.Namespace) -> Start:
    options = ["--model", arguments.model, "--threads", str(arguments.threads)]
    begun = start([PROGRAM, "ask", *options, QUESTION])
    assert begun, "minireason ended without a token"
    return begun


def theirs(arguments: argparse.Namespace) -> Start:
    given = [arguments.model, str(arguments.threads), QUESTION]
    before = WITHOUT_AMX if arguments.no_amx else ""
    command = [sys.executable, "-c", before + SCRIPT, *given]
    if begun := start(command, own_stderr=arguments.no_amx):
        return begun
    assert not arguments.no_amx, "llama-cpp-python ended without a token"
    print("llama-cpp-python crashed; it runs without AMX", file=sys.stderr)
    arguments.no_amx = True
    return theirs(arguments)


PEERS = {"minireason ask": ours, "llama-cpp-python": theirs}


def first_tokens(arguments: argparse.Namespace) -> dict[str, list[Start]]:
    """Starts of both, in turn; the first of each only fills the page cache and is left out."""
    starts: dict[str, list[Start]] = {name: [] for name in PEERS}
    for _ in range(1 + arguments.repeat):
        for name, run in PEERS.items():
            starts[name].append(run(arguments))
    return {name: begun[1:] for name, begun in starts.items()}


def report(arguments: argparse.Namespace, starts: dict[str, list[Start]]) -> None:
    crashed = ", without AMX, with which it crashes" if arguments.no_amx else ""
    print(f"{Path(arguments.model).name}, {arguments.threads} threads; to the first token,")
    print(f"medians of {arguments.repeat} starts in turn (least to most){crashed}\n")
    print(
        f"| {'':16} | {'wall, s':>20} | {'CPU, s':>20} | peak memory, MiB |\n"
        f"|{'-' * 18}|{'-' * 21}:|{'-' * 21}:|{'-' * 17}:|"
    )
    for name, begun in starts.items():
        wall, cpu, peak = zip(*begun, strict=True)
        print(
            f"| {name:16} | {spread(wall):>20} | {spread(cpu):>20} "
            f"| {statistics.median(peak):16,.0f} |"
        )
    mine, other = starts.values()
    ratios = [
        statistics.median(a[column] / b[column] for a, b in zip(mine, other, strict=True))
        for column in range(3)
    ]
    print(f"| {'ratio':16} | {ratios[0]:20.2f} | {ratios[1]:20.2f} | {ratios[2]:16.2f} |\n")


def spread(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def cpu_s(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [PROGRAM, *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,  # the first of them is cut off
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = subject.parser_of(__doc__)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--skip-commands", action="store_true", help="the first tokens alone")
    parser.add_argument("--no-amx", action="store_true", help="as in bench/peers.py")
    arguments = subject.parse(parser)
    starts = first_tokens(arguments)
    report(arguments, starts)
    medians = {}
    if not arguments.skip_commands:
        medians = {
            name: statistics.median(cpu_s(command) for _ in range(arguments.repeat))
            for name, command in COMMANDS.items()
        }
    for name, value in medians.items():
        print(f"{value:6.2f} s of CPU  {name}")
    print(json.dumps({**vars(arguments), "starts": starts, "cpu_s": medians}))


if __name__ == "__main__":
    main()
