"""Seconds of what grows with files: `python bench/state_files.py`. Last line: one JSON document.

Opening a session of 2,000 and of 8,000 turns; finding a model beside 600 entries of a models.toml;
refusing a prompt of 52 MB. Everything happens in a data directory of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import minireason
from minireason.conversation import transcript
from minireason.conversation.history import History, Turn
from minireason.models import catalog

QUESTION = "What is the sum of the first hundred numbers, and why is that so?"
ANSWER = (
    "It is 5050, because the first and the last of them make 101, and there are fifty such pairs."
)


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def session(folder: Path, turns: int) -> Path:
    path = folder / f"{turns}.jsonl"
    talk = History()
    for _ in range(turns):
        talk.apply(Turn(QUESTION, ANSWER, "A thought. " * 50, "tiny").step())
    transcript.write(path, talk, transcript.Lock(path))
    return path


def opening(folder: Path, turns: int) -> float:
    """Until the first question could be asked."""
    path = session(folder, turns)
    with minireason.load("tiny", n_threads=1) as reasoner, reasoner.chat() as chat:

        def act() -> None:
            chat.load(path)
            chat.stream("And of two hundred?").close()

        return seconds(act)


def entries(count: int) -> float:
    """`ask --model tiny`, a whole process, beside so many entries in the user's models.toml."""
    lines = [
        f'[m{number}]\naliases = ["n{number}"]\nparams = 7_000_000_000\nlicence = "MIT"\n'
        f'base = "none"\ncontext = 4096\nscores = {{ aime24 = 1.0 }}\n[m{number}.quants.Q8_0]\n'
        f'repo = "some/repo{number}"\nfiles = ["m{number}.gguf"]\nbytes = 8_000_000_000\n'
        for number in range(count)
    ]
    catalog.own_path().write_text("\n".join(lines))
    command = [sys.executable, "-m", "minireason", "ask", "--model", "tiny", "--max-tokens", "1"]
    return seconds(
        lambda: subprocess.run(
            [*command, "What is 3 + 4?"], capture_output=True, stdin=subprocess.DEVNULL, check=True
        )
    )


def refusal(size: int) -> tuple[float, float]:
    """Seconds, and by how many MB the largest size of this process grew."""
    text = "word " * (size // 5)
    with minireason.load("tiny", n_threads=1) as reasoner:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        def act() -> None:
            try:
                reasoner.stream(text)
            except minireason.ContextFull as error:
                print(error)

        taken = seconds(act)
        return taken, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINIREASON_HOME"] = folder
        refused_s, refused_mb = refusal(52_000_000)
        measured = {
            "session of 2,000 turns, s": opening(Path(folder), 2000),
            "session of 8,000 turns, s": opening(Path(folder), 8000),
            "ask beside no entry, s": entries(0),
            "ask beside 600 entries, s": entries(600),
            "prompt of 52 MB refused, s": refused_s,
            "prompt of 52 MB refused, MB": refused_mb,
        }
    for name, value in measured.items():
        print(f"{value:8.2f}  {name}")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
