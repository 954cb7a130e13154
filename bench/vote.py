"""What stopping a vote early saves in real time: `python bench/vote.py`.

Each question is solved under every rule with the same seeds, one question after the other as
`minireason solve` does it, the rules in turn. `replayed` is what `minireason eval --replay` would
have said of a rule's tokens, worked out from the chains that all ran.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

import minireason
from minireason import Reasoner, Solution, answers
from minireason.evaluation import intervals, items, replay, score
from minireason.settings import StopRule, VoteSettings

Measured = dict[str, dict[str, float]]
RULES: tuple[StopRule, ...] = ("none", "lead", "beta")
TINY_TEST = Path(__file__).parent / "tiny" / "sets" / "test.jsonl"


def solve(
    reasoner: Reasoner, item: items.Item, rule: StopRule, arguments: argparse.Namespace
) -> Solution:
    return reasoner.solve(
        item.messages(None),
        samples=arguments.samples,
        parallel=arguments.parallel,
        stop=rule,
        seed=arguments.seed + item.number,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
    )


def right(item: items.Item, solution: Solution) -> bool:
    return solution.answer is not None and answers.same(solution.answer, item.answer)


def measure(reasoner: Reasoner, item: items.Item, arguments: argparse.Namespace) -> Measured:
    """One item under every rule."""
    turn = item.number % len(RULES)
    solutions = {
        rule: solve(reasoner, item, rule, arguments) for rule in RULES[turn:] + RULES[:turn]
    }
    chains = score.samples(
        item, [[chain] for chain in solutions["none"].chains if not chain.replaced]
    )
    return {
        rule: {
            "right": right(item, solutions[rule]),
            "tokens": solutions[rule].tokens.generated,
            "seconds": solutions[rule].total_s,
            "replayed": replay.replay(
                chains, VoteSettings(samples=len(chains), stop=rule), solutions[rule].parallel
            ).tokens,
        }
        for rule in RULES
    }


def table(measured: list[Measured]) -> str:
    columns = {
        rule: {name: [item[rule][name] for item in measured] for name in measured[0][rule]}
        for rule in RULES
    }
    lines = [
        "| stop | right | less none (95%) | tokens | of none | replayed | s | of none |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    none = columns["none"]
    for rule, values in columns.items():
        apart = intervals.difference(values["right"], none["right"])
        cells = [
            rule,
            f"{fmean(values['right']):.1%}",
            f"{100 * apart.value:+.2f} ({100 * apart.low:+.2f} to {100 * apart.high:+.2f})",
            f"{fmean(values['tokens']):,.0f}",
            f"{fmean(values['tokens']) / fmean(none['tokens']):.0%}",
            f"{fmean(values['replayed']):,.0f}",
            f"{fmean(values['seconds']):.2f}",
            f"{fmean(values['seconds']) / fmean(none['seconds']):.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, default=TINY_TEST)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--every", type=int, default=10, help="take every Nth item of the set")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("vote.jsonl"),
        help="a line for each item; those that are there are not run again",
    )
    arguments = parser.parse_args()
    lines = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    measured: dict[int, Measured] = dict(map(json.loads, lines))
    chosen = [
        item
        for item in items.read(arguments.set).items[:: arguments.every]
        if item.number not in measured
    ]
    with (
        minireason.load(arguments.model, n_threads=arguments.threads) as reasoner,
        arguments.results.open("a") as results,
    ):
        for item in chosen[:1]:
            solve(reasoner, item, "none", arguments)  # the first one warms up
        for item in chosen:
            measured[item.number] = measure(reasoner, item, arguments)
            print(json.dumps([item.number, measured[item.number]]), file=results, flush=True)
    print(f"{len(measured)} items\n\n{table(list(measured.values()))}")


if __name__ == "__main__":
    main()
