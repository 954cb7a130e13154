"""Write a set of sums in the manner of competitions, whose answers it works out.

    python bench/eval_sets/sums.py > sums.jsonl

Every answer is a whole number. The same seed gives the same set; nobody can have trained on one
whose seed you chose yourself.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Callable

Problem = tuple[str, int]


def power(rng: random.Random) -> Problem:
    base, exponent = rng.randint(2, 30), rng.randint(50, 3000)
    modulus = rng.choice([7, 9, 11, 13, 17, 100, 101, 1000])
    question = f"What is the remainder when {base}^{{{exponent}}} is divided by {modulus}?"
    return question, pow(base, exponent, modulus)


def divisors(rng: random.Random) -> Problem:
    number = math.prod(prime ** rng.randint(0, 4) for prime in (2, 3, 5, 7))
    number *= rng.choice([1, 11, 13])
    count = sum(number % small == 0 for small in range(1, number + 1))
    return f"How many positive divisors does {number} have?", count


def multiples(rng: random.Random) -> Problem:
    one, other = rng.sample(range(3, 16), 2)
    limit = rng.randint(200, 2000)
    question = (
        f"What is the sum of all positive integers less than {limit} that are divisible by {one} "
        f"or by {other}?"
    )
    divisible = [number for number in range(limit) if number % one == 0 or number % other == 0]
    return question, sum(divisible)


def ways(rng: random.Random) -> Problem:
    total, parts, least = rng.randint(12, 30), rng.randint(3, 5), rng.randint(0, 2)
    names = "a, b, c, d, e".split(", ")[:parts]
    question = (
        f"How many ordered tuples ({', '.join(names)}) of integers, each at least {least}, have "
        f"{' + '.join(names)} = {total}?"
    )
    return question, math.comb(total - parts * least + parts - 1, parts - 1)


def zeros(rng: random.Random) -> Problem:
    number, base = rng.randint(30, 500), rng.choice([5, 6, 10, 12])
    count, rest = 0, math.factorial(number)
    while rest % base == 0:
        rest, count = rest // base, count + 1
    return f"How many zeros are at the end of {number}! when it is written in base {base}?", count


def congruences(rng: random.Random) -> Problem:
    moduli = sorted(rng.sample([5, 7, 8, 9, 11, 13], 3))
    answer = rng.randrange(1, math.prod(moduli))
    clauses = [f"{answer % modulus} when divided by {modulus}" for modulus in moduli]
    question = (
        f"What is the smallest positive integer that leaves remainder {clauses[0]}, {clauses[1]}, "
        f"and {clauses[2]}?"
    )
    return question, answer


def recurrence(rng: random.Random) -> Problem:
    first, second, factor, index, modulus = (
        rng.randint(*span) for span in ((1, 5), (1, 9), (2, 5), (15, 40), (50, 999))
    )
    one, other = first, second
    for _ in range(index - 1):
        one, other = other, factor * other - one
    question = (
        f"Let a_1 = {first}, a_2 = {second} and a_n = {factor} a_{{n-1}} - a_{{n-2}} for n > 2."
    )
    return (
        f"{question} What is the remainder when a_{{{index}}} is divided by {modulus}?",
        one % modulus,
    )


def digits(rng: random.Random) -> Problem:
    total, low, high = rng.randint(5, 20), 10 ** rng.randint(1, 2), 10 ** rng.randint(3, 4)
    question = f"How many integers from {low} to {high - 1} have digits that add up to {total}?"
    return question, sum(sum(map(int, str(number))) == total for number in range(low, high))


FAMILIES: tuple[Callable[[random.Random], Problem], ...] = (
    power, divisors, multiples, ways, zeros, congruences, recurrence, digits,
)  # fmt: skip


def make(count: int, seed: int) -> list[dict[str, str]]:
    """Different problems, the families in turn."""
    rng, items = random.Random(seed), dict[str, dict[str, str]]()
    while len(items) < count:
        family = FAMILIES[len(items) % len(FAMILIES)]
        question, answer = family(rng)
        items.setdefault(
            question, {"question": question, "answer": str(answer), "family": family.__name__}
        )
    return list(items.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for item in make(arguments.items, arguments.seed):
        print(json.dumps(item))


if __name__ == "__main__":
    main()
