"""Time to the first token of turns 2 to 6 of a chat, with and without a pause before each question.

`python bench/chat.py --model PATH` or `--shape r1-qwen-1.5b`. Four runs, one after the other, of the same conversation: every reply
has `--think` tokens that leave the history and `--answer` tokens that stay (a model that does not think has only an answer of both,
and of it only the last part stays). minireason reads the history ahead in the background; then minireason with the cache emptied
before each question; and llama-cpp-python's Llama, which keeps the longest prefix that its last call left in the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import speed

TURNS = 6


def question(turn: int, characters: int) -> str:
    return speed.question(characters).replace("fox", f"fox number {turn}")


def conversation(answers: list[str], turn: int, characters: int) -> list[dict[str, str]]:
    messages = []
    for index in range(turn):
        messages += [{"role": "user", "content": question(index, characters)}, {"role": "assistant", "content": answers[index]}]
    return [*messages, {"role": "user", "content": question(turn, characters)}]


def ours(arguments: argparse.Namespace, answers: list[str], pause_s: float, warm: bool) -> list[float]:
    """Seconds to the first token of each turn; the replies are replaced by the given answers, so that all runs say the same."""
    from minireason.events import Message
    from minireason.reasoner import load
    from minireason.session import _ReadAhead

    times = []
    ahead = _ReadAhead()
    with load(arguments.model, n_threads=arguments.threads) as reasoner:
        for turn in range(TURNS):
            messages = [Message(role=m["role"], content=m["content"]) for m in conversation(answers, turn, arguments.prompt)]
            if turn:
                time.sleep(pause_s)
            began = time.perf_counter()
            ahead.stop()
            if not warm:
                forget(reasoner)
            with reasoner.stream(messages, max_tokens=arguments.think + arguments.answer, seed=1, **speed.SAMPLING) as stream:
                next(stream)
                times.append(time.perf_counter() - began)
                for _ in stream:
                    pass
            if warm:
                ahead.start(reasoner, [*messages, Message(role="assistant", content=answers[turn])])
        ahead.stop()
    return times


def forget(reasoner: Any) -> None:
    """Empty the cache."""
    scheduler = reasoner._scheduler
    for slot in scheduler._slots:
        scheduler._trim(slot, 0)


def theirs(arguments: argparse.Namespace, answers: list[str], pause_s: float) -> list[float]:
    from llama_cpp import Llama

    from minireason.engine.devices import leave_out_amx

    leave_out_amx()
    threads = {"n_threads": arguments.threads, "n_threads_batch": arguments.threads}
    model = Llama(arguments.model, n_ctx=arguments.ctx, verbose=False, **threads)
    times = []
    wanted = {"max_tokens": arguments.think + arguments.answer, "min_p": 0.0, "repeat_penalty": 1.0, "seed": 1, **speed.SAMPLING}
    for turn in range(TURNS):
        if turn:
            time.sleep(pause_s)
        began = time.perf_counter()
        first = None
        for chunk in model.create_chat_completion(conversation(answers, turn, arguments.prompt), stream=True, **wanted):
            if first is None and "content" in chunk["choices"][0]["delta"]:
                first = time.perf_counter() - began
        times.append(first or time.perf_counter() - began)
    model.close()
    return times


def said(arguments: argparse.Namespace) -> list[str]:
    """Answers of a fixed length for the history."""
    words = speed.STORY.split()
    return [" ".join(words[(turn + index) % len(words)] for index in range(arguments.answer)) for turn in range(TURNS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="a .gguf file")
    which.add_argument("--shape", choices=sorted(speed.shapes.SHAPES))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--prompt", type=int, default=60, help="characters of each question")
    parser.add_argument("--think", type=int, default=100)
    parser.add_argument("--answer", type=int, default=150)
    parser.add_argument("--ctx", type=int, default=4096, help="context of the peer")
    parser.add_argument("--pause", type=float, default=5.0)
    arguments = parser.parse_args()
    arguments.model = arguments.model or str(speed.shape_file(arguments.shape))
    answers = said(arguments)
    runs: dict[str, Callable[[], list[float]]] = {
        f"minireason, {arguments.pause:g} s pause": lambda: ours(arguments, answers, arguments.pause, True),
        "minireason, no pause": lambda: ours(arguments, answers, 0.0, True),
        "everything read again": lambda: ours(arguments, answers, 0.0, False),
        "llama-cpp-python": lambda: theirs(arguments, answers, 0.0),
    }
    times = {}
    for name, run in runs.items():
        times[name] = run()[1:]
        print(f"{name} ...", file=sys.stderr)
    peer = times["llama-cpp-python"]
    print(f"{Path(arguments.model).name}, {arguments.threads} threads, {TURNS} turns; first token of turns 2 to {TURNS}, s\n")
    print(f"| {'':24} | median | each turn | / llama-cpp-python |\n|{'-' * 26}|{'-' * 7}:|{'-' * 11}|{'-' * 19}:|")
    for name, each in times.items():
        ratio = statistics.median(mine / other for mine, other in zip(each, peer, strict=True))
        print(f"| {name:24} | {statistics.median(each):6.3f} | {' '.join(f'{value:.3f}' for value in each)} | {ratio:18.2f} |")
    print(json.dumps({"model": arguments.model, "think": arguments.think, "answer": arguments.answer, "first_token_s": times}))


if __name__ == "__main__":
    main()
