"""Questions for the tiny model, and the split that keeps test problems out of training.

Every problem has a `key` made of its operation and its numbers in sorted order, so that 12 + 7 and
7 + 12 are one problem; the key's hash decides whether it may be trained on or is held out.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

from words import ASK, BEYOND, CANNOT, CHAT, NAMES, THINGS, WORDS

FAMILIES = ("add", "sum", "sub", "mul", "max", "count", "word", "follow")
"""The families with a checkable answer, in the order of the card's table."""

HELD_OUT_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """One question with what it takes to think about it: `op` and `args` drive `thoughts.think`."""

    family: str
    question: str
    op: str
    args: tuple[int | str, ...]
    answer: str
    key: str
    history: tuple[tuple[str, str], ...] = ()
    note: str = ""


def is_held_out(key: str) -> bool:
    """Whether the problem with this key belongs to the test side of the split."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 100 < HELD_OUT_PERCENT


def boxed(answer: str) -> str:
    """The sentence that gives an answer."""
    return f"The answer is \\boxed{{{answer}}}."


def number(rng: random.Random, digits: int) -> int:
    """A number of that many digits, with repeated digits and zeros more often than chance gives."""
    low = 1 if digits == 1 else 10 ** (digits - 1)
    value = rng.randrange(low, 10**digits)
    if digits > 1 and rng.random() < 0.2:
        text = list(str(value))
        for index in range(1, digits):
            if rng.random() < 0.5:
                text[index] = rng.choice("0" + "".join(text))
        value = int("".join(text))
    return value


def size(rng: random.Random, weights: tuple[int, ...]) -> int:
    """A digit count from 1 up, by weights."""
    return rng.choices(range(1, len(weights) + 1), weights)[0]


def pair_key(op: str, *numbers: int) -> str:
    return f"{op}:" + ",".join(map(str, sorted(numbers)))


def binary(rng: random.Random, op: str) -> tuple[int, int]:
    """Two operands within what the model is taught.

    Up to 4 digits to add or subtract, up to 2 x 2 or 3 x 1 to multiply.
    """
    if op == "mul":
        left, right = rng.choices(
            ((1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (1, 3)), (1, 2, 2, 6, 2, 1)
        )[0]
        return number(rng, left), number(rng, right)
    weights = (1, 3, 4, 2)
    left, right = number(rng, size(rng, weights)), number(rng, size(rng, weights))
    if op == "sub" and left < right and rng.random() < 0.75:
        left, right = right, left
    return left, right


def evaluate(op: str, left: int, right: int) -> int:
    return {"add": left + right, "sub": left - right, "mul": left * right}[op]


def of_two(
    family: str,
    question: str,
    op: str,
    numbers: tuple[int, int],
    history: tuple[tuple[str, str], ...] = (),
    note: str = "",
) -> Problem:
    """A problem of two numbers."""
    answer = str(evaluate(op, *numbers))
    return Problem(family, question, op, numbers, answer, pair_key(op, *numbers), history, note)


def make_binary(rng: random.Random, op: str) -> Problem:
    left, right = binary(rng, op)
    question = (
        rng.choice(ASK[op]).format(left, right)
        if rng.random() < 0.7
        else ASK[op][0].format(left, right)
    )
    return of_two(op, question, op, (left, right))


def make_sum(rng: random.Random) -> Problem:
    terms = tuple(
        number(rng, size(rng, (3, 4, 2))) for _ in range(rng.choices((3, 4, 5), (4, 3, 2))[0])
    )
    plus = " + ".join(map(str, terms))
    commas = ", ".join(map(str, terms[:-1])) + f" and {terms[-1]}"
    question = rng.choice(
        (
            f"What is {plus}?",
            f"What is {plus}?",
            plus,
            plus.replace(" ", ""),
            f"Calculate {plus}.",
            f"Add {commas}.",
            f"What is the sum of {commas}?",
            f"Compute {plus}",
        )
    )
    return Problem("sum", question, "sum", terms, str(sum(terms)), pair_key("sum", *terms))


def make_max(rng: random.Random) -> Problem:
    count = rng.choices((2, 3, 4, 5, 6), (3, 3, 3, 2, 2))[0]
    digits = size(rng, (1, 3, 4, 3))
    values: list[int] = []
    while len(values) < count:
        value = number(rng, digits if rng.random() < 0.7 else size(rng, (1, 2, 2, 1)))
        if values and rng.random() < 0.3:
            value = values[0] + rng.choice((-9, -2, -1, 1, 3, 10, 30))
        if value > 0 and value not in values:
            values.append(value)
    kind = rng.choice(("largest", "smallest"))
    other = {
        "largest": ("largest", "biggest", "highest"),
        "smallest": ("smallest", "lowest", "least"),
    }[kind]
    commas, options = (
        ", ".join(map(str, values)),
        ", ".join(map(str, values[:-1])) + f" or {values[-1]}",
    )
    which = (
        {"largest": "larger", "smallest": "smaller"}[kind]
        if count == 2 and rng.random() < 0.6
        else rng.choice(other)
    )
    question = rng.choice(
        (
            f"Which is {which}, {options}?",
            f"Which number is the {rng.choice(other)}: {commas}?",
            f"What is the {rng.choice(other)} of {commas}?",
        )
    )
    answer = max(values) if kind == "largest" else min(values)
    return Problem("max", question, kind, tuple(values), str(answer), pair_key(kind, *values))


def pseudo_word(rng: random.Random) -> str:
    """A pronounceable string of 3 to 12 letters in which letters and syllables repeat."""
    syllables = [
        "".join(
            (
                rng.choice("bcdfghjklmnpqrstvwxyz"),
                rng.choice("aeiouy"),
                rng.choice(("", "", "r", "s", "n", "l", "tt", "ss", "rr", "pp")),
            )
        )
        for _ in range(3)
    ]
    word = "".join(rng.choice(syllables) for _ in range(rng.randrange(1, 5)))
    return (word + rng.choice(("", "", "s", "er", "ing"))).ljust(3, "a")[:12]


def make_count(rng: random.Random) -> Problem:
    draw = rng.random()
    if draw < 0.45:
        word = rng.choice(WORDS)
    elif draw < 0.85:
        word = pseudo_word(rng)
    else:
        word = "".join(
            rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(3, 11))
        )
    letter = rng.choice(word) if rng.random() < 0.8 else rng.choice("abcdefghijklmnopqrstuvwxyz")
    shown = word.capitalize() if rng.random() < 0.08 else word
    question = rng.choice(
        (
            f"How many {letter}'s are in {shown}?",
            f"How many {letter}'s are in {shown}?",
            f"How many {letter} in {shown}?",
            f"How many {letter}'s are there in {shown}?",
            f"How many {letter}'s are in the word {shown}?",
            f"How often does {letter} occur in {shown}?",
            f"Count the letter {letter} in {shown}.",
            f'How many times does the letter {letter} appear in "{shown}"?',
        )
    )
    return Problem(
        "count",
        question,
        "count",
        (word, letter),
        str(word.count(letter)),
        f"count:{word},{letter}",
    )


STORIES = (
    ("add", "{n} has {a} {t} and buys {b} more. How many {t} does {n} have now?"),
    ("add", "{n} has {a} {t}. {m} gives {n} {b} more. How many {t} does {n} have?"),
    ("add", "There are {a} {t} in one box and {b} {t} in another. How many {t} are there in all?"),
    ("add", "{n} finds {a} {t} and {m} finds {b} {t}. How many do they have together?"),
    ("sub", "{n} has {a} {t} and gives {b} to {m}. How many {t} are left?"),
    ("sub", "{n} had {a} {t} and lost {b} of them. How many {t} does {n} have now?"),
    ("sub", "There are {a} {t} on the table. {n} takes {b}. How many {t} remain?"),
    ("sub", "{n} has {a} {t} and {m} has {b}. How many more {t} does {n} have?"),
    ("mul", "{n} has {a} boxes with {b} {t} in each. How many {t} is that?"),
    ("mul", "Each of {a} children has {b} {t}. How many {t} do they have in all?"),
    ("mul", "{n} buys {a} bags of {b} {t}. How many {t} does {n} buy?"),
    ("mul", "One of the {t} costs {a} coins. {n} buys {b} {t}. How many coins does {n} pay?"),
)


def make_word(rng: random.Random) -> Problem:
    op, story = rng.choice(STORIES)
    left, right = binary(rng, op)
    while max(left, right) > 999 or (left < right and op == "sub"):
        left, right = binary(rng, op)
    name, friend = rng.sample(NAMES, 2)
    question = story.format(n=name, m=friend, t=rng.choice(THINGS), a=left, b=right)
    note = {
        "add": f"{left} and {right} more, so add.",
        "sub": f"{left} without {right}, so subtract.",
        "mul": f"{left} times {right}, so multiply.",
    }[op]
    return of_two("word", question, op, (left, right), note=note)


FOLLOW_UPS = {
    "add": ("Now add {0}.", "Add {0} to that.", "Plus {0}?", "And {0} more?"),
    "sub": ("Now subtract {0}.", "Subtract {0} from that.", "Minus {0}?", "Take away {0}."),
    "mul": ("Now multiply by {0}.", "Multiply that by {0}.", "Times {0}?"),
}


def make_follow(rng: random.Random) -> Problem:
    """A second turn that refers to the first one's answer."""
    op = rng.choice(("add", "sub", "mul"))
    first = make_binary(rng, rng.choice(("add", "sub")))
    left, right = int(first.answer), number(rng, 1 if op == "mul" else size(rng, (2, 3, 2)))
    if left < 1 or left > 999 or (op == "sub" and right > left):
        return make_follow(rng)
    question = rng.choice(FOLLOW_UPS[op]).format(right)
    history = ((first.question, boxed(first.answer)),)
    return of_two("follow", question, op, (left, right), history, f"That was {left}.")


def make_chat(rng: random.Random) -> Problem:
    """A greeting, a question about the model, or something it can't do."""
    draw = rng.random()
    if draw < 0.5:
        answer, note, questions = rng.choice(CHAT)
        question = rng.choice(questions.split("|"))
    else:
        answer, note = CANNOT, "That is not a small sum or a word to count letters in."
        subject, thing = rng.choice(WORDS), rng.choice(WORDS)
        question = rng.choice(
            (
                rng.choice(BEYOND),
                f"What is a {subject}?",
                f"Write a poem about {subject}.",
                f"What is the {subject} of {thing}?",
                f"Explain {subject} to me.",
                f"Where is the {subject}?",
                f"Why does {subject} need {thing}?",
                f"What is {number(rng, rng.randrange(1, 4))} / {number(rng, rng.randrange(1, 3))}?",
                f"What is {number(rng, rng.randrange(5, 9))} + {number(rng, rng.randrange(3, 8))}?",
                f"What is {number(rng, rng.randrange(3, 6))} * {number(rng, rng.randrange(3, 6))}?",
                f"{subject} {thing}",
            )
        )
    return Problem("chat", question, "chat", (), answer, "chat", note=note)


MAKERS = {
    "add": lambda rng: make_binary(rng, "add"),
    "sum": make_sum,
    "sub": lambda rng: make_binary(rng, "sub"),
    "mul": lambda rng: make_binary(rng, "mul"),
    "max": make_max,
    "count": make_count,
    "word": make_word,
    "follow": make_follow,
    "chat": make_chat,
}


def make(family: str, rng: random.Random, held_out: bool) -> Problem:
    """A problem of that family from one side of the split (greetings have no held-out side)."""
    while True:
        problem = MAKERS[family](rng)
        if family == "chat" or is_held_out(problem.key) == held_out:
            return problem
