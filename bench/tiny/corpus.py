"""Training sequences for the tiny model: problems with thoughts in R1's format, as token ids.

The vocabulary is the 256 bytes, then the six special tokens of the R1 format.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import problems
from problems import Problem
from thoughts import PLACES, compare, think

BOS, EOS, USER, ASSISTANT, THINK, END_THINK = range(256, 262)
VOCAB = 262
SPECIAL = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<think>",
    "</think>",
)
CONTEXT = 4096
SLIP_RATE = 0.03

SHARES = {
    "add": 0.10,
    "sum": 0.12,
    "sub": 0.17,
    "mul": 0.17,
    "max": 0.14,
    "count": 0.15,
    "word": 0.08,
    "follow": 0.04,
    "chat": 0.03,
}
CUT_SHARE, HISTORY_SHARE, LONG_SHARE, SYSTEM_SHARE = 0.07, 0.08, 0.004, 0.02
LANDINGS = (
    "",
    "",
    "\nConsidering the limited time by the user, I have to give the solution based on the thinking "
    "directly now.",
    "\nTime is up, so I answer now.",
    "\nI have to answer now.",
)
SYSTEMS = (
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are a careful mathematician.",
    "Be kind.",
    "Think step by step.",
)


@dataclass(frozen=True, slots=True)
class Example:
    """A sequence to learn from."""

    ids: list[int]
    """Its token ids."""

    loss_from: int
    """The index from which on the loss counts."""

    given: frozenset[int] = frozenset()
    """Indices that it leaves out, since nobody could predict what is there."""


def encode(text: str) -> list[int]:
    return list(text.encode())


def prompt(problem: Problem, history: tuple[tuple[str, str], ...], system: str = "") -> list[int]:
    """The turns up to the opened thought; earlier turns carry their answers only."""
    ids = [BOS, *encode(system)]
    for question, answer in (*history, *problem.history):
        ids += [USER, *encode(question), ASSISTANT, *encode(answer), EOS]
    return [*ids, USER, *encode(problem.question), ASSISTANT, THINK, *encode("\n")]


def finish(problem: Problem, answer: str) -> list[int]:
    sentence = answer if problem.op == "chat" else problems.boxed(answer)
    return [*encode("\n"), END_THINK, *encode("\n\n" + sentence), EOS]


def turn(rng: random.Random) -> tuple[str, str]:
    """An earlier question and its answer."""
    problem = pick(rng)
    if problem.op == "chat":
        return problem.question, problem.answer
    return problem.question, problems.boxed(problem.answer)


def pick(rng: random.Random) -> Problem:
    family = rng.choices(list(SHARES), list(SHARES.values()))[0]
    return problems.make(family, rng, held_out=False)


def example(rng: random.Random) -> Example:
    """One problem; sometimes after other turns, sometimes with the thought cut short."""
    problem = pick(rng)
    history: tuple[tuple[str, str], ...] = ()
    draw = rng.random()
    if draw < LONG_SHARE:
        history, room = (), rng.randrange(800, CONTEXT - 700)
        while room > 0:
            history += (turn(rng),)
            room -= len(history[-1][0]) + len(history[-1][1]) + 3
    elif draw < LONG_SHARE + HISTORY_SHARE:
        history = tuple(turn(rng) for _ in range(rng.randrange(1, 5)))
    start = prompt(problem, history, rng.choice(SYSTEMS) if rng.random() < SYSTEM_SHARE else "")
    if problem.op != "chat" and rng.random() < CUT_SHARE:
        thought = think(problem, rng)[0]
        thought = thought[: rng.randrange(len(thought) + 1)] if rng.random() < 0.85 else ""
        end = finish(problem, problem.answer)
        landing = encode(thought + rng.choice(LANDINGS))
        return Example([*start, *landing, *end], len(start) + len(landing) + 2)
    thought, answer = think(problem, rng, SLIP_RATE)
    return Example([*start, *encode(thought), *finish(problem, answer)], len(start))


DRILLS = {"copy": 20, "spell": 20, "digits": 6, "columns": 20, "compare": 24, "next": 10}


def drill(rng: random.Random) -> Example:
    """A short exercise in one of the skills that thoughts are made of.

    Copy, spell, fetch a digit, tell things apart.
    """
    kind = rng.choices(list(DRILLS), list(DRILLS.values()))[0]
    word = letters(rng)
    value, other = few_digits(rng), few_digits(rng)
    if kind == "compare":
        return comparisons(rng)
    if kind == "copy":
        task, text = word, "\n".join([word] * 3)
    elif kind == "spell":
        task = word
        text = "\n".join(f"{index} {letter}-" for index, letter in enumerate(word, 1))
    elif kind == "digits":
        task = str(value)
        text = "\n".join(
            f"{place} {digit}" for place, digit in zip(PLACES, reversed(task), strict=False)
        )
    elif kind == "columns":
        task = f"{value} + {other}"
        text = f"{task}\n{columns(value, other)}"
    else:
        values = [str(few_digits(rng)) for _ in range(rng.randrange(3, 7))]
        task, text = ", ".join(values), "\n".join(f"{first}: {first}" for first in values)
    start = [BOS, USER, *encode(task), ASSISTANT, THINK, *encode("\n")]
    return Example([*start, *encode(text), EOS], len(start))


def letters(rng: random.Random) -> str:
    """A word that may be one, or letters and perhaps digits in any order."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    if rng.random() >= 0.7:
        alphabet += "0123456789"
    if rng.random() < 0.5:
        return problems.pseudo_word(rng)
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(3, 12)))


def few_digits(rng: random.Random) -> int:
    """A number of one to four digits."""
    return problems.number(rng, rng.randrange(1, 5))


def columns(value: int, other: int) -> str:
    """The digits of two numbers, place by place."""
    width = max(len(str(value)), len(str(other)))
    above, below = reversed(f"{value:0{width}}"), reversed(f"{other:0{width}}")
    places = zip(PLACES, above, below, strict=False)
    return "\n".join(f"{place} {first}+{second}" for place, first, second in places)


def comparisons(rng: random.Random) -> Example:
    """Pairs of numbers, and which of each is larger or smaller."""
    task = rng.choice(("largest", "smallest"))
    lines = []
    for first, second in [(str(few_digits(rng)), str(few_digits(rng))) for _ in range(6)]:
        reason, wins = compare(first, second, task)
        lines.append((f"{first} {second}:", f" {reason}, {'yes' if wins else 'no'}"))
    return judged(task, lines)


def judged(task: str, lines: list[tuple[str, str]]) -> Example:
    """Lines of something given and what follows from it; only the latter counts."""
    ids = [BOS, USER, *encode(task), ASSISTANT, THINK, *encode("\n")]
    loss_from, given = len(ids), set()
    for fact, verdict in lines:
        given |= set(range(len(ids), len(ids) + len(encode(fact))))
        ids += encode(fact + verdict + "\n")
    return Example([*ids, EOS], loss_from, frozenset(given))


def batches(
    seed: int, batch_tokens: int, drill_share_at: list[tuple[int, float]]
) -> Iterator[list[Example]]:
    """Batches of examples of like length, about `batch_tokens` tokens each, without end.

    `drill_share_at` lists (batches given so far, share of drills from there on).
    """
    rng = random.Random(seed)
    given = 0
    while True:
        share = [share for start, share in drill_share_at if given >= start][-1]
        pool = sorted(
            (drill(rng) if rng.random() < share else example(rng) for _ in range(600)),
            key=lambda item: len(item.ids),
        )
        groups: list[list[Example]] = [[]]
        for item in pool:
            if groups[-1] and len(item.ids) * (len(groups[-1]) + 1) > batch_tokens:
                groups.append([])
            groups[-1].append(item)
        rng.shuffle(groups)
        for group in groups:
            given += 1
            yield group
