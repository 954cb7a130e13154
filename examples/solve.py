"""Let many chains of thought vote, and show the vote as it changes (self-consistency).

`python examples/solve.py "What is 47 * 86?" --model tiny --samples 8`
"""

from __future__ import annotations

import argparse
import sys

import minireason
from minireason import Solved, VoteChanged


def main() -> None:
    """Solve one question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", nargs="?", default="What is 47 * 86?")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--samples", type=int, default=8)
    arguments = parser.parse_args()
    with minireason.load(arguments.model) as reasoner:
        for event in reasoner.solve_stream(arguments.question, samples=arguments.samples):
            match event:
                case VoteChanged(candidates=candidates, open=still_open):
                    votes = ", ".join(f"{each.answer}: {each.votes}" for each in candidates)
                    print(f"{votes} ({still_open} chains open)", file=sys.stderr)
                case Solved(solution=solution):
                    if solution.answer is None:
                        sys.exit("No chain came to an answer.")
                    print(f"{solution.answer} ({solution.agreement:.0%} of the votes)")


if __name__ == "__main__":
    main()
