"""Two checkouts side by side: `python bench/commits.py BEFORE/.venv/bin/python .venv/bin/python`.

Each argument is the interpreter of an environment in which one of the commits is installed. They
run in turn. What is compared is processor time, on one thread, since machines that other work
shares have no steady clock: of `minireason ask` and `--help` from start to end, and of decoding.
Last line: one JSON document. `--model` decodes another model beside tiny, `--rounds` is how often.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
from collections.abc import Callable

DECODE = """
import sys, time, minireason
with minireason.load(sys.argv[1], n_threads=1) as reasoner:
    def once():
        began = time.process_time()
        usage = reasoner.ask(
            "What is 347 + 586? Tell me a long story.",
            max_tokens=int(sys.argv[2]), temperature=1.0, seed=7, loop_check=False,
        ).usage
        return (time.process_time() - began) / (usage.thinking_tokens + usage.answer_tokens)
    once()
    print(min(once() for _ in range(3)))
"""


def command_s(python: str, *arguments: str) -> float:
    """Processor seconds of a command of minireason."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [python, "-P", "-m", "minireason", *arguments]
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def token_s(python: str, model: str, tokens: int) -> float:
    """Processor seconds of a token: the best of three replies, after one that warms up."""
    command = [python, "-P", "-c", DECODE, model, str(tokens)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(ended.stdout)


def ratio(measure: Callable[[str], float], pythons: list[str], rounds: int) -> dict[str, float]:
    """Medians of both in turn, after one round that does not count, and the second to the first."""
    for python in pythons:
        measure(python)
    seconds = [[measure(python) for python in pythons] for _ in range(rounds)]
    before, after = (statistics.median(column) for column in zip(*seconds, strict=True))
    return {"before_s": before, "after_s": after, "ratio": after / before}


def main() -> None:
    """Measure, print a line each, and all of it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    pythons = [options.before, options.after]
    ask = ("ask", "--model", "tiny", "--threads", "1", "--seed", "1", "What is 1 + 1?")
    acts: dict[str, Callable[[str], float]] = {
        "ask tiny": lambda python: command_s(python, *ask),
        "--help": lambda python: command_s(python, "--help"),
        "a token of tiny": lambda python: token_s(python, "tiny", 400),
    }
    if options.model:
        acts["a token of the model"] = lambda python: token_s(python, options.model, 150)
    report = {}
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"MINIREASON_HOME": home, "OMP_WAIT_POLICY": "passive"}
        for name, act in acts.items():
            report[name] = ratio(act, pythons, options.rounds)
            print(name, {key: round(value, 5) for key, value in report[name].items()}, flush=True)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
