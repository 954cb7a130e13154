"""Stream a reply: the thinking to standard error as it comes, the answer to standard output.

`python examples/stream.py "What is 347 + 586?" --model tiny --budget 400`
"""

from __future__ import annotations

import argparse
import sys

import minireason
from minireason import AnswerDelta, Done, ThinkingDelta


def main() -> None:
    """Ask one question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", nargs="?", default="What is 347 + 586?")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--budget", type=int, help="most tokens of thinking")
    arguments = parser.parse_args()
    with minireason.load(arguments.model) as reasoner:
        stream = reasoner.stream(arguments.question, thinking_budget=arguments.budget)
        answering = False
        for event in stream:
            match event:
                case ThinkingDelta(text=text):
                    print(text, end="", file=sys.stderr, flush=True)
                case AnswerDelta(text=text):
                    if not answering:
                        print("\n", file=sys.stderr, flush=True)
                        answering = True
                    print(text, end="", flush=True)
                case Done(reply=reply):
                    print()
                    print(f"\n{reply.usage.thinking_tokens} tokens of thinking", file=sys.stderr)


if __name__ == "__main__":
    main()
