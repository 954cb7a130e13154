"""A batch over `minireason serve` beside the same batch in one process, on one machine.

`python bench/remote.py`, with `--only tiny,smollm2,r1-qwen-1.5b`: tokens per second of 16 replies
at a time. One side is a server and, in another process, `batch.local.Runner` over
`minireason.connect`; the other is the same over `minireason.load`. Both get the same file, threads,
questions, seeds and sampling, and write the same number of tokens. They run in turn, each in fresh
processes; loading and the first question do not count. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import batch_jobs
import compare
import llama_server
import sides
import subject
import tools

REPLIES = 16
STOP_S = 30.0
TARGETS = {"tiny": None, "smollm2": 0.9, "r1-qwen-1.5b": 0.9}
"""The models, and the ratio to be reached; of tiny it is told only."""


@dataclass(frozen=True, slots=True)
class Work:
    """What both sides do with a model; `tokens` is None where replies end by themselves."""

    model: str
    threads: int
    batches: int
    tokens: int | None

    def job(self, seed: int) -> sides.Job:
        settings: dict[str, Any] = {"temperature": 0.0}
        if self.tokens:
            settings = {**subject.SAMPLING, "thinking": False, "max_tokens": self.tokens}
        questions = [self._question(100 * seed + number) for number in range(REPLIES)]
        job = {"job": "pool", "model": self.model, "threads": self.threads, "parallel": REPLIES}
        return {**job, "batches": self.batches, "settings": settings, "questions": questions}

    def _question(self, number: int) -> str:
        if self.tokens:
            return subject.words(batch_jobs.QUESTION_WORDS, number)
        return f"What is {number + 100} + {7 * number + 300}?"

    def run(self, seed: int, url: str | None = None) -> compare.Values:
        python = sides.Python(sys.executable)
        values = sides.child(python, "batch_jobs.py", {**self.job(seed), "url": url})
        whole = (self.tokens or 0) * REPLIES * self.batches
        if whole and values["tokens"] != whole:
            raise tools.ToolFailed(f"the replies have {values['tokens']} of {whole} tokens")
        return values

    def remote(self, seed: int) -> compare.Values:
        """Over a server that is started for it."""
        with served(self.model, self.threads) as url:
            return self.run(seed, url)


@contextmanager
def served(model: str, threads: int) -> Iterator[str]:
    """`minireason serve`, until the block ends; its URL."""
    port = llama_server.free_port()
    sizes = {"--model": model, "--port": port, "--threads": threads, "--slots": REPLIES}
    command = [sys.executable, "-m", "minireason", "serve", *tools.flags(sizes)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as process:
        try:
            llama_server.wait_for(port, process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def work_of(name: str, arguments: argparse.Namespace) -> Work:
    """What is done with a model of this name."""
    if name == "tiny":
        return Work(name, arguments.threads, 2 if arguments.quick else 20, None)
    tokens = 4 if arguments.quick else arguments.tokens
    if name == "smollm2":
        file = subject.endless(subject.smollm2_file())
        return Work(str(file), arguments.threads, 1 if arguments.quick else 3, tokens)
    return Work(str(subject.shape_file(name)), arguments.threads, 1, tokens)


def group_of(name: str, arguments: argparse.Namespace) -> compare.Group:
    work = work_of(name, arguments)
    if not arguments.quick:
        measure = ["doctor", "--measure", work.model]
        quiet = subprocess.DEVNULL
        subprocess.run([sys.executable, "-m", "minireason", *measure], stdout=quiet, check=False)
    title = f"{name}, {REPLIES} replies at a time"
    rows = (
        compare.Row(f"{title}, tokens/s", "rate", target=TARGETS[name]),
        compare.Row(f"{title}, tokens", "tokens"),
    )
    return compare.Group(f"remote-{name}", work.remote, {"in one process": work.run}, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(TARGETS), help="models, with commas between")
    parser.add_argument("--repeat", type=int, default=5, help="rounds")
    parser.add_argument("--tokens", type=int, default=128, help="of each reply, but for tiny")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--quick", action="store_true", help="one short round, to see it work")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := set(names) - TARGETS.keys():
        parser.error(f"there is no model {unknown.pop()!r} here; there are {', '.join(TARGETS)}")
    os.environ.setdefault("MINIREASON_HOME", str(subject.folder() / "home"))
    print(compare.table_head(), flush=True)
    report: list[dict[str, Any]] = []
    for name in names:
        group = group_of(name, arguments)
        report += compare.reported(group, 1 if arguments.quick else arguments.repeat)
    print(json.dumps({**vars(arguments), "groups": report}))


if __name__ == "__main__":
    main()
