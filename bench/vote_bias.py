"""Whether stopping a vote early prefers short chains: `python bench/vote_bias.py`.

Simulated votes: each chain is right with a probability of its own cell or question, wrong ones
spread over one or three answers, and the length of a chain is log-normal, for wrong chains half,
as much or twice that of right ones. The votes are replayed as `minireason eval --replay` does it,
with the rules that `solve` uses. A rule's difference is the accuracy less that of running all.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import fmean

from minireason.evaluation.replay import replay
from minireason.evaluation.score import Sample
from minireason.settings import StopRule, VoteSettings

ACCURACIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, None)
"""None: drawn for each question from Beta(2, 2)."""

LENGTHS, WRONG_ANSWERS, SAMPLES = (0.5, 1.0, 2.0), (1, 3), (8, 16, 32)
RULES: tuple[StopRule, ...] = ("lead", "beta")
MEAN_TOKENS, SPREAD = 1_000, 0.4


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of question.

    Wrong chains are `length` times as long as right ones and spread over `wrong` answers.
    """

    samples: int
    parallel: int
    length: float
    wrong: int
    accuracy: float | None

    def question(self, rng: random.Random, spread: float) -> list[Sample]:
        share = rng.betavariate(2, 2) if self.accuracy is None else self.accuracy
        return [self._chain(rng, share, spread) for _ in range(self.samples)]

    def _chain(self, rng: random.Random, share: float, spread: float) -> Sample:
        group = 0 if rng.random() < share else rng.randint(1, self.wrong)
        mean = MEAN_TOKENS * (1.0 if group == 0 else self.length)
        tokens = max(1, round(mean * rng.lognormvariate(0.0, spread)))
        return Sample(group, group == 0, group == 0, tokens)


@dataclass(frozen=True, slots=True)
class Result:
    """A rule in a cell against running all chains: accuracy gained or lost, share of the tokens."""

    cell: Cell
    rule: StopRule
    difference: float
    share: float


def cells(samples: Sequence[int] = SAMPLES) -> Iterator[Cell]:
    """All cells, with half of the chains at a time and with all at once."""
    for count in samples:
        for parallel in (count // 2, count):
            for length in LENGTHS:
                for wrong in WRONG_ANSWERS:
                    for accuracy in ACCURACIES:
                        yield Cell(count, parallel, length, wrong, accuracy)


def measure(
    cell: Cell,
    questions: int,
    seed: int = 1,
    spread: float = SPREAD,
    rules: Sequence[StopRule] = RULES,
) -> list[Result]:
    """These rules on the same questions."""
    rng = random.Random(f"{seed} {cell}")
    asked = [cell.question(rng, spread) for _ in range(questions)]
    return [_result(cell, rule, asked) for rule in rules]


def _result(cell: Cell, rule: StopRule, asked: Sequence[Sequence[Sample]]) -> Result:
    full = VoteSettings(samples=cell.samples, stop="none")
    early = VoteSettings(samples=cell.samples, stop=rule)
    whole = [replay(chains, full, cell.parallel) for chains in asked]
    cut = [replay(chains, early, cell.parallel) for chains in asked]
    lost = fmean(one.right - other.right for one, other in zip(cut, whole, strict=True))
    share = sum(one.tokens for one in cut) / sum(other.tokens for other in whole)
    return Result(cell, rule, lost, share)


def table(results: Sequence[Result]) -> str:
    """For each rule, number of chains and number at a time: the worst cells, in points of accuracy.

    The tokens are those at equal lengths, as a share of what running all chains takes.
    """
    lines = [
        "| stop | chains | at a time | wrong half as long | as long | twice as long | tokens |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (rule, samples, parallel), group in _groups(results).items():
        worst = [f"{100 * _worst(group, length):+.2f}" for length in LENGTHS]
        share = fmean(result.share for result in group if result.cell.length == 1.0)
        lines.append(f"| {rule} | {samples} | {parallel} | {' | '.join(worst)} | {share:.0%} |")
    return "\n".join(lines)


def _groups(results: Sequence[Result]) -> dict[tuple[StopRule, int, int], list[Result]]:
    groups: dict[tuple[StopRule, int, int], list[Result]] = {}
    for result in results:
        key = (result.rule, result.cell.samples, result.cell.parallel)
        groups.setdefault(key, []).append(result)
    return dict(sorted(groups.items()))


def _worst(results: Sequence[Result], length: float) -> float:
    """The difference that is furthest from none, of all cells with wrong chains so long."""
    return max((r.difference for r in results if r.cell.length == length), key=abs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=2_000, help="in each cell")
    parser.add_argument("--spread", type=float, default=SPREAD, help="of the logarithm of lengths")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    work = partial(
        measure, questions=arguments.questions, seed=arguments.seed, spread=arguments.spread
    )
    with ProcessPoolExecutor() as pool:
        print(table([result for results in pool.map(work, cells()) for result in results]))


if __name__ == "__main__":
    main()
