"""Write the evaluation sets: `python bench/tiny/make_sets.py`.

Every item is on the held-out side of the split. dev.jsonl was looked at while the recipe was made;
test.jsonl has a seed of its own and gives the reported numbers.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import problems

SETS = Path(__file__).parent / "sets"
SEEDS = {"dev": 1001, "test": 20_261_123}
PER_FAMILY = 100


def items(seed: int) -> list[dict[str, object]]:
    """`PER_FAMILY` different problems of each family."""
    rng, chosen, seen = random.Random(seed), [], set()
    for family in problems.FAMILIES:
        count = 0
        while count < PER_FAMILY:
            problem = problems.make(family, rng, held_out=True)
            if problem.question in seen:
                continue
            seen.add(problem.question)
            count += 1
            history = [list(turn) for turn in problem.history]
            chosen.append(
                {
                    "family": family,
                    "question": problem.question,
                    "answer": problem.answer,
                    "history": history,
                    "key": problem.key,
                }
            )
    return chosen


def main() -> None:
    SETS.mkdir(exist_ok=True)
    for name, seed in SEEDS.items():
        lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items(seed)]
        (SETS / f"{name}.jsonl").write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main()
