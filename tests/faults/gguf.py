"""Damaged model files, each put to use as a user would: none may kill or hang who loads it.

`python tests/faults/gguf.py --seconds 600 --seed 1` changes the built-in model and a small one with
random weights, in ways that mean something to a GGUF file, and loads and asks each in a worker that
stands for the user's process, with the product's own trial before. It prints how many ended how;
the exit status is 1 if the worker was killed by a signal, hung, or met an exception that is not one
of minireason's own. Such files are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import mutate

ROOT = Path(__file__).parents[2]
HANG_S = 90.0
"""The worker has this long for a file, its trial included."""

TRIAL_S = 20.0
"""What the trial has in the worker, where the product gives it minutes.

A file that hangs it is refused either way.
"""

BAD = ("killed", "hung", "exception")


@dataclass
class Worker:
    """A process that loads and asks one file after the other; started again when it is gone."""

    home: Path
    process: subprocess.Popen[bytes] | None = None

    def outcome(self, path: Path) -> str:
        """What became of a file: one of `use`, or "killed by SIGNAL", or "hung"."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"MINIREASON_HOME": str(self.home)},
            )
        process = self.process
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{path}\n".encode())
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            late = not selector.select(HANG_S)
        line = b"" if late else process.stdout.readline()
        if line:
            return str(json.loads(line))
        self.close()
        return "hung" if late else f"killed by {-process.returncode}"

    def close(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        if process.stdin:
            with suppress(BrokenPipeError):
                process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def use(path: Path) -> str:
    """Check, try, load and ask a file as the product does; how that ended."""
    import minireason
    from minireason import EngineError, MinireasonError
    from minireason.models import gguf

    try:
        gguf.check(path)
    except MinireasonError:
        return "refused by its header"
    try:
        reasoner = minireason.load(path, n_threads=1, n_ctx=256)
    except EngineError as error:
        return f"refused as not tried: {error}"
    except MinireasonError as error:
        return f"refused before or by its trial ({type(error).__name__})"
    with reasoner:
        try:
            for temperature in (0.0, 1.5):
                question = "What is 2 + 3? Ä漢🙂"
                reasoner.ask(question, temperature=temperature, seed=1, max_tokens=12)
        except MinireasonError as error:
            return f"loaded, then an error ({type(error).__name__})"
    return "loaded and asked"


def work() -> None:
    """The worker: a path a line on standard input, an outcome in JSON a line on standard output."""
    from minireason.engine import trial

    trial.START_S = TRIAL_S
    for line in sys.stdin:
        try:
            outcome = use(Path(line.rstrip("\n")))
        except Exception as error:  # what no user should ever see is what is looked for
            outcome = f"exception {type(error).__name__}: {error}"[:200]
        print(json.dumps(outcome), flush=True)


def run(seconds: float, count: int, seed: int, kept: Path) -> Counter[str]:
    """Outcomes of mutants, made until the time is over or there are enough.

    The bad ones stay in `kept`.
    """
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.gguf"
        shapes = ROOT / "bench" / "shapes.py"
        subprocess.run([sys.executable, str(shapes), "small", str(small)], check=True)
        tiny = ROOT / "minireason" / "tiny" / "tiny.gguf"
        originals = [tiny.read_bytes(), small.read_bytes()]
        worker, path = Worker(Path(folder) / "home"), Path(folder) / "mutant.gguf"
        ends_at, number = time.monotonic() + seconds, 0
        while number < count and time.monotonic() < ends_at:
            rng = Random(f"{seed} {number}")
            changed, raw = mutate.mutant(rng.choice(originals), rng)
            path.write_bytes(raw)
            outcome = worker.outcome(path)
            outcomes[outcome.partition(":")[0]] += 1
            if ":" in outcome or outcome.startswith(BAD):
                print(f"{seed}-{number} ({changed}): {outcome}", flush=True)
            if outcome.startswith(BAD):
                kept.mkdir(parents=True, exist_ok=True)
                (kept / f"{seed}-{number}.gguf").write_bytes(raw)
            number += 1
        worker.close()
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=10**9, help="no more files than this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, default=Path(tempfile.gettempdir()) / "bad-gguf")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work()
        return 0
    outcomes = run(arguments.seconds, arguments.count, arguments.seed, arguments.kept)
    for outcome, times in outcomes.most_common():
        print(f"{times:6}  {outcome}")
    bad = sum(times for outcome, times in outcomes.items() if outcome.startswith(BAD))
    print(f"{outcomes.total():6}  files, {bad} of them bad")
    return 1 if bad or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
