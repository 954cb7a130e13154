"""`minireason serve` beside llama-server: many clients that stream, one model, the same slots.

`python bench/server.py`, with `--model PATH` or `--shape r1-qwen-1.5b`; `--only` takes some of
these:

- rate: tokens per second in all and time to the first token at 1, 4, 8 and 16 clients. Each asks
  twice in a row, another question of about 40 tokens each time.
- turn: the first token of the second turn of a conversation, at once and after a pause.
- stress: 64 clients for two minutes on tiny, a third of which go away in the middle.
- loop: the CPU time of the longest callback on the event loop, over all of the above.

Both get the same file, threads, slots, tokens of context a slot, and sampling, and neither ends a
reply before `--tokens`. They run in turn, in processes of their own. llama-server has to be on the
PATH, built from the same sources: CONTRIBUTING.md says how. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import clients
import llama_server
import stress
import subject
import tools

OURS = "minireason serve"
PARTS = ("rate", "turn", "stress")
SLOT_TOKENS = 2048
QUESTION_WORDS, HISTORY_WORDS = 30, 300
SAMPLING = {"min_p": 0.0, **subject.SAMPLING}

Measured = dict[str, dict[str, list[float]]]
"""By what it is, and by side, the values of the rounds."""


@contextmanager
def ours(arguments: argparse.Namespace, model: str, slots: int) -> Iterator[tuple[int, int]]:
    """`minireason serve`; its port and its process. Notes what its event loop did."""
    port = llama_server.free_port()
    program = str(Path(__file__).with_name("serving.py"))
    options = ["--model", model, "--port", str(port), "--threads", str(arguments.threads)]
    options += ["--slots", str(slots)]
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "note.json"
        command = [sys.executable, program, str(note), "serve", *options]
        log = None if arguments.verbose else subprocess.DEVNULL
        with subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                llama_server.wait_for(port, process)
                yield port, process.pid
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        callbacks = json.loads(note.read_text("utf-8"))
        print(f"longest callback: {callbacks}", file=sys.stderr)
        arguments.callbacks_s.append(callbacks["longest_s"])


@contextmanager
def theirs(arguments: argparse.Namespace, model: str, slots: int) -> Iterator[tuple[int, int]]:
    """llama-server."""
    tool = tools.Subject(model, arguments.threads)
    with llama_server.running(tool, slots=slots, slot_tokens=SLOT_TOKENS) as port:
        yield port, 0


Side = Callable[[argparse.Namespace, str, int], Any]


def sides() -> dict[str, Side]:
    """Who takes part."""
    if shutil.which(tools.SERVER):
        return {OURS: ours, tools.SERVER: theirs}
    print(f"{tools.SERVER} is not on the PATH: nothing to compare with", file=sys.stderr)
    return {OURS: ours}


def question(words: int, seed: int, tokens: int) -> clients.Request:
    """A question that no other one begins like."""
    message = {"role": "user", "content": subject.words(words, seed)}
    return {"messages": [message], "max_tokens": tokens, "seed": seed, **SAMPLING}


def rate(arguments: argparse.Namespace, measured: Measured) -> None:
    """Tokens per second in all, and the time to the first token."""
    for count in arguments.clients:
        for repeat in range(arguments.repeat):
            for name, side in in_turn(repeat):
                with side(arguments, arguments.model, max(arguments.clients)) as (port, _):
                    requests = [
                        question(QUESTION_WORDS, 1000 * repeat + number, arguments.tokens)
                        for number in range(2 * count)
                    ]
                    asyncio.run(clients.ask(port, question(5, 999, 8)))  # which warms it up
                    began = time.perf_counter()
                    got = asyncio.run(clients.one_after_another(port, requests, count))
                    spent_s = time.perf_counter() - began
                firsts = sorted(reply.first_s for reply in got)
                note(measured, f"{count} clients, tokens/s", name, tokens_of(got) / spent_s)
                note(measured, f"{count} clients, first token, s", name, statistics.median(firsts))
                late = firsts[math.ceil(0.95 * (len(firsts) - 1))]
                note(measured, f"{count} clients, first token, 95%, s", name, late)


def tokens_of(got: list[clients.Got]) -> int:
    return sum(reply.tokens for reply in got)


def turn(arguments: argparse.Namespace, measured: Measured) -> None:
    """The first token of a second turn."""
    for pause_s in (0.0, 5.0):
        for repeat in range(arguments.repeat):
            for name, side in in_turn(repeat):
                with side(arguments, arguments.model, 1) as (port, _):
                    asyncio.run(clients.ask(port, question(5, 999, 8)))
                    first_s = asyncio.run(second_turn(port, repeat, pause_s))
                title = f"second turn {'after a pause' if pause_s else 'at once'}, first token, s"
                note(measured, title, name, first_s)


async def second_turn(port: int, seed: int, pause_s: float) -> float:
    """Seconds to the first token of the second turn of a conversation."""
    first = question(HISTORY_WORDS, seed, 64)
    reply = await clients.ask(port, first)
    assert reply
    await asyncio.sleep(pause_s)
    second = question(QUESTION_WORDS, seed + 500, 16)
    said = {"role": "assistant", "content": reply.text}
    second["messages"] = [*first["messages"], said, *second["messages"]]
    answered = await clients.ask(port, second)
    assert answered
    return answered.first_s


def stressed(arguments: argparse.Namespace) -> stress.Stressed:
    """64 clients on tiny."""
    with ours(arguments, "tiny", 16) as (port, process):
        return asyncio.run(stress.run(port, process, arguments.seconds))


def in_turn(repeat: int) -> list[tuple[str, Side]]:
    """The sides, in the other order every second time."""
    order = list(sides().items())
    return order[::-1] if repeat % 2 else order


def note(measured: Measured, title: str, side: str, value: float) -> None:
    measured.setdefault(title, {}).setdefault(side, []).append(value)
    print(f"{title}: {side} {value:.3f}", file=sys.stderr)


def report(arguments: argparse.Namespace, measured: Measured) -> None:
    print(
        f"{Path(arguments.model).name}, {arguments.threads} threads, {max(arguments.clients)} slots"
        f" of {SLOT_TOKENS} tokens, replies of {arguments.tokens} tokens, {SAMPLING};"
        f" medians of {arguments.repeat}\n"
    )
    print(f"| | {OURS} | {tools.SERVER} | ratio |\n|---|---:|---:|---:|")
    for title, by_side in measured.items():
        mine, other = (
            statistics.median(by_side[name]) if name in by_side else None
            for name in (OURS, tools.SERVER)
        )
        ratio = f"{mine / other:.2f}" if mine and other else ""
        theirs_text = "" if other is None else f"{other:.3g}"
        print(f"| {title} | {mine:.3g} | {theirs_text} | {ratio} |")


def report_stress(result: stress.Stressed, seconds: float) -> None:
    print(
        f"\n{stress.CLIENTS} clients for {seconds:g} s: {result.whole} replies whole, "
        f"{result.left} left by their clients, {result.lost} lost, {result.mixed_up} mixed up, "
        f"{result.refused} refused, {result.stuck:g} slots stuck; resident memory of the last 30 s "
        f"by that of the seconds 30 to 60: {result.rss_ratio:.3f}"
    )


def main() -> None:
    parser = subject.parser_of(__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--clients", default="1,4,8,16", help="how many at a time")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of each reply")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=120.0, help="of the stress")
    parser.add_argument("--verbose", action="store_true", help="show what our server prints")
    arguments = subject.parse(parser)
    arguments.clients = [int(count) for count in arguments.clients.split(",")]
    arguments.model = str(subject.endless(Path(arguments.model)))
    arguments.callbacks_s = []
    os.environ.setdefault("MINIREASON_HOME", str(subject.folder() / "home"))
    measured: Measured = {}
    parts = arguments.only.split(",")
    if "rate" in parts:
        rate(arguments, measured)
    if "turn" in parts:
        turn(arguments, measured)
    report(arguments, measured)
    result = stressed(arguments) if "stress" in parts else None
    if result:
        report_stress(result, arguments.seconds)
    print(f"\nthe longest callback on the event loop: {1000 * max(arguments.callbacks_s):.1f} ms")
    document = {**vars(arguments), "measured": measured, "stress": result and asdict(result)}
    print(json.dumps(document))


if __name__ == "__main__":
    main()
