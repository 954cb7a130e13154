"""`minireason batch`: what it costs, and that it loses nothing. Linux; `ray` needs the extra ray.

`python bench/batch.py`, or `--only rate,killed`; `--quick` takes few items and one round. Rows:

- items: our own CPU time an item and the peak memory, for 100,000 items over the scripted backend
  beside 10,000 of them.
- rate: tokens per second on tiny beside a plain loop over as many streams at a time.
- killed: the command on tiny, killed ten times at random moments and run again: replies that are
  missing, that are there twice, and that differ from an undisturbed run's at temperature 0.
- ray: four workers of a Ray cluster, one of which is killed every ten seconds: replies that are
  missing or there twice.
- ray-overhead: `--ray auto --actors 1` beside no Ray, on tiny with one thread, and over a server
  that computes nothing, for five times as many items: processor time of an item in all processes,
  Ray's own too, its wall time once the batch has begun, and the seconds until the first reply.

Sides run in turn, in fresh processes. The last line is one JSON document.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import batch_files
import batch_overhead
import cluster
import compare
import remote_client
import sides
import subject
import tools
from compare import Group, Row, Values

PARALLEL = 16
ACTORS, KILL_EVERY_S = 4, 10.0
TOKENS = 20
GREEDY = ("--temperature", "0", "--seed", "1")
_RATE = re.compile(r"([\d,]+) tokens in [\d,.]+ s, ([\d,]+) tokens/s")

Report = list[dict[str, Any]]


class Bench:
    """What all rows have: the folder of their files, and how much is to be done."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.threads, self.seed = folder, arguments.threads, arguments.seed
        self.quick: bool = arguments.quick
        self.rounds = 1 if self.quick else arguments.repeat
        self.count = 100 if self.quick else arguments.items
        self.python = sides.Python(sys.executable)

    def questions(self, count: int) -> Path:
        """A file with so many questions."""
        path = self.folder / f"in-{count}.jsonl"
        if not path.exists():
            batch_files.write(path, count)
        return path

    def out(self, name: str) -> Path:
        """A file for replies, of which there are none yet."""
        path = self.folder / f"{name}.jsonl"
        for old in self.folder.glob(f"{name}.jsonl*"):
            old.unlink()
        return path

    def command(self, source: Path, out: Path, *more: str, threads: int | None = None) -> list[str]:
        sizes = {"--model": "tiny", "--threads": threads or self.threads, "--parallel": PARALLEL}
        words = ["batch", str(source), "-o", str(out), *tools.flags(sizes), *GREEDY, *more]
        return [sys.executable, "-m", "minireason", *words]


def items(bench: Bench) -> Report:
    """Our own costs of an item, and that memory stays flat."""
    few, many = (200, 2_000) if bench.quick else (10_000, 100_000)

    def run(count: int, _seed: int) -> Values:
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            job = {"job": "items", "source": str(bench.questions(count)), "folder": folder}
            job |= {"items": count, "parallel": PARALLEL}
            return sides.child(bench.python, "batch_jobs.py", job)

    rows = (
        Row(f"own CPU time an item of {many:,}, us", "own_us", "lower"),
        Row(f"peak memory with {many:,} items, MiB", "peak_mib", "lower"),
    )
    fewer = {f"{few:,} items": functools.partial(run, few)}
    group = Group("items", functools.partial(run, many), fewer, rows)
    return compare.reported(group, bench.rounds)


def rate(bench: Bench) -> Report:
    """The command beside a plain loop."""
    source = bench.questions(bench.count)

    def ours(_seed: int) -> Values:
        said = finished(bench.command(source, bench.out("rate")))
        if not (read := _RATE.search(said)):
            raise tools.ToolFailed(f"no rate in {said!r}")
        tokens, per_second = (float(number.replace(",", "")) for number in read.groups())
        return {"rate": per_second, "tokens": tokens}

    def bare(_seed: int) -> Values:
        job = {"job": "bare", "source": str(source), "settings": {"temperature": 0.0}}
        job |= {"model": "tiny", "threads": bench.threads, "parallel": PARALLEL}
        return sides.child(bench.python, "batch_jobs.py", job)

    rows = (
        Row(f"{bench.count:,} items on tiny, tokens/s", "rate", target=0.95),
        Row(f"{bench.count:,} items on tiny, tokens", "tokens"),
    )
    return compare.reported(Group("rate", ours, {"a plain loop": bare}, rows), bench.rounds)


def killed(bench: Bench) -> Report:
    """Killed at random moments, and gone on with."""
    source, whole, out = bench.questions(bench.count), bench.out("whole"), bench.out("killed")
    began = time.perf_counter()
    finished(bench.command(source, whole))
    whole_s = time.perf_counter() - began
    moments, kills = random.Random(bench.seed), 0
    command, wanted = bench.command(source, out), 2 if bench.quick else 10
    for _ in range(2 * wanted):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(moments.uniform(0.1, 1.2 * whole_s / wanted))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        if kills == wanted or not process.returncode:
            break
    finished(command)
    title = f"{bench.count:,} items, killed {kills} times"
    return [told("killed", title, batch_files.compared(source, out, whole), kills)]


def ray(bench: Bench) -> Report:
    """Four workers of a cluster, one of which is killed again and again."""
    source, out = bench.questions(bench.count), bench.out("ray")
    kills, moments = 0, random.Random(bench.seed)
    every_s = 3.0 if bench.quick else KILL_EVERY_S
    with cluster.running(bench.folder, cpus=ACTORS) as head:
        options = ("--ray", head.address, "--actors", str(ACTORS))
        command = bench.command(source, out, *options, threads=1)
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, env=head.environment)
            while process.poll() is None:
                try:
                    process.wait(every_s)
                except subprocess.TimeoutExpired:
                    kills += head.kill_a_worker(moments)
            said.seek(0)
            if process.returncode:
                raise tools.ToolFailed(f"on Ray: {said.read()[-1000:]}")
    title = f"{bench.count:,} items on {ACTORS} workers of Ray, {kills} of them killed"
    return [told("ray", title, batch_files.compared(source, out), kills)]


def overhead(bench: Bench) -> Report:
    """One worker of Ray beside none."""
    tiny = functools.partial(bench.command, threads=1)  # more would spin while they wait
    report = _overhead(bench, "tiny", bench.count, tiny)
    with remote_client.served(TOKENS) as url:

        def command(source: Path, out: Path, *more: str) -> list[str]:
            words = ["batch", str(source), "-o", str(out), "--url", url, *GREEDY, *more]
            return [sys.executable, "-m", "minireason", *words]

        return report + _overhead(bench, "a server that computes nothing", 5 * bench.count, command)


def _overhead(bench: Bench, name: str, count: int, command: Callable[..., list[str]]) -> Report:
    source = bench.questions(count)

    def run(options: tuple[str, ...], _seed: int) -> Values:
        out = bench.out("overhead")
        return batch_overhead.watched(command(source, out, *options), out, count)

    rows = tuple(
        Row(f"{count:,} items on one worker of Ray, {name}: {what}", value, "lower")
        for what, value in (
            ("processor time of an item, ms", "cpu_ms"),
            ("wall time of an item, ms", "item_ms"),
            ("first reply, s", "start_s"),
        )
    )
    alone = {"without Ray": functools.partial(run, ())}
    on_ray = functools.partial(run, ("--ray", "auto", "--actors", "1"))
    return compare.reported(Group(f"ray-overhead, {name}", on_ray, alone, rows), bench.rounds)


def finished(command: list[str]) -> str:
    """What a command says on standard error; raises ToolFailed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise tools.ToolFailed(f"{' '.join(command)}: {done.stderr[-1000:]}")
    return done.stderr


def told(name: str, title: str, compared: batch_files.Compared, kills: int) -> dict[str, Any]:
    """Print what is wrong with a file of replies, of which there has to be nothing."""
    values = {what: count for what, count in asdict(compared).items() if count is not None}
    for what, count in values.items():
        verdict = "missed" if count else "met"
        cells = (f"{title}: {what}", str(count), "", "", "", "", "0", verdict)
        print(compare.table_row(cells), flush=True)
    return {"group": name, "kills": kills, **values}


ROWS: dict[str, Callable[[Bench], Report]] = {
    "items": items,
    "rate": rate,
    "killed": killed,
    "ray": ray,
    "ray-overhead": overhead,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(ROWS), help="rows, with commas between")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of what is compared")
    parser.add_argument("--items", type=int, default=2000, help="on tiny")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which is killed")
    parser.add_argument("--quick", action="store_true", help="few items, to see it work")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := set(names) - ROWS.keys():
        parser.error(f"there is no row {unknown.pop()!r}; there are {', '.join(ROWS)}")
    os.environ.setdefault("MINIREASON_HOME", str(subject.folder() / "home"))
    print(compare.table_head(), flush=True)
    report: Report = []
    with tempfile.TemporaryDirectory(dir=subject.folder()) as folder:
        bench = Bench(Path(folder), arguments)
        for name in names:
            try:
                report += ROWS[name](bench)
            except tools.ToolFailed as error:
                print(f"{name}: {error}", file=sys.stderr)
                report.append({"group": name, "failed": str(error)})
    print(json.dumps({**vars(arguments), "groups": report}))


if __name__ == "__main__":
    main()
