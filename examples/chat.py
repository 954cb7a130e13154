"""A conversation in a loop: lines from standard input, kept in a file from run to run.

`python examples/chat.py --model tiny --file talk.jsonl`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import minireason
from minireason import AnswerDelta


def main() -> None:
    """Talk until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--file", type=Path, default=Path("talk.jsonl"))
    arguments = parser.parse_args()
    with minireason.load(arguments.model) as reasoner, reasoner.chat(read_ahead=True) as chat:
        if arguments.file.exists():
            for problem in chat.load(arguments.file):
                print(problem, file=sys.stderr)
            print(f"{len(chat.turns)} turns so far", file=sys.stderr)
        else:
            chat.save(arguments.file)
        for line in sys.stdin:
            if not line.strip():
                continue
            for event in chat.stream(line.strip()):
                if isinstance(event, AnswerDelta):
                    print(event.text, end="", flush=True)
            print()


if __name__ == "__main__":
    main()
