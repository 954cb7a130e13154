"""CPU seconds of short commands, whole processes: `python bench/startup.py`.

The last line is one JSON document.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys

COMMANDS = {
    "minireason --help": ["--help"],
    "minireason ask --model tiny, to the first token": [
        "ask",
        "--model",
        "tiny",
        "--max-tokens",
        "1",
        "What is 347 + 586?",
    ],
    "minireason ask --model tiny, whole": ["ask", "--model", "tiny", "What is 347 + 586?"],
}
REPEAT = 7


def cpu_s(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "minireason", *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    medians = {
        name: statistics.median(cpu_s(arguments) for _ in range(REPEAT))
        for name, arguments in COMMANDS.items()
    }
    for name, value in medians.items():
        print(f"{value:6.2f} s  {name}")
    print(json.dumps(medians))


if __name__ == "__main__":
    main()
