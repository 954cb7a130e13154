"""Compare one chain of thought with a majority vote on questions whose answers are known.

`python examples/evaluate.py --model tiny --samples 4`; for real sets, intervals and runs that
survive a crash there is `minireason eval`.
"""

from __future__ import annotations

import argparse
from fractions import Fraction

import minireason

QUESTIONS = {"What is 347 + 586?": 933, "What is 47 * 86?": 4042, "What is 812 - 97?": 715}


def is_right(answer: str | None, wanted: int) -> bool:
    """Whether an answer is this number."""
    try:
        return answer is not None and Fraction(answer) == wanted
    except (ValueError, ZeroDivisionError):
        return False


def main() -> None:
    """Ask each question so many times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--samples", type=int, default=4)
    arguments = parser.parse_args()
    alone = voted = 0.0
    with minireason.load(arguments.model) as reasoner:
        for question, wanted in QUESTIONS.items():
            solution = reasoner.solve(question, samples=arguments.samples, stop="none", seed=1)
            right = sum(is_right(chain.answer, wanted) for chain in solution.chains)
            alone += right / len(solution.chains)
            voted += is_right(solution.answer, wanted)
    print(f"one chain is right in {alone / len(QUESTIONS):.0%} of {len(QUESTIONS)} questions")
    print(f"a vote of {arguments.samples} in {voted / len(QUESTIONS):.0%}")


if __name__ == "__main__":
    main()
