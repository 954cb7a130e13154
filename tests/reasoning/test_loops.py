"""Planted loops are found, ordinary and merely regular text is not.

Measured at scale by bench/thinking.py.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.reasoning.loops import GRAM, RESTATED_WINDOW, WINDOWS, LoopDetector

Encode = Callable[[str], list[int]]
WORDS = (
    "so the sum of all these is not what we want but let me see if another way gives it "
    "then x has to be even or odd"
).split()
_known: dict[str, int] = {}
_pieces: list[bytes] = []


def words(text: str) -> list[int]:
    """One token a word, number of up to three digits or sign.

    As in the vocabularies of the R1 distills.
    """
    ids = []
    for piece in re.findall(r" ?[A-Za-z]+|\d|\s+|[^\w\s]", text):
        if piece not in _known:
            _known[piece] = 1000 + len(_known)
            _pieces.append(piece.encode())
        ids.append(_known[piece])
    return ids


def letters(text: str) -> list[int]:
    """One token a byte, as in the built-in model."""
    return list(text.encode())


def piece(token: int) -> bytes:
    return _pieces[token - 1000] if token >= 1000 else bytes([token])


def found(ids: list[int]) -> tuple[int, int] | None:
    """(tokens fed until a loop is found, where it begins)."""
    detector = LoopDetector(piece)
    for count, token in enumerate(ids, 1):
        if loop := detector.feed(token):
            return count, loop.begin
    return None


def prose(rng: random.Random, count: int) -> str:
    """Sentences of common words and numbers, none planned to come back."""
    return "".join(
        f"{' '.join(rng.choice(WORDS) for _ in range(rng.randrange(4, 14)))} "
        f"{rng.randrange(1000)}{rng.choice('.,!?')} "
        for _ in range(count)
    )


SUMS = ["so 347 + 586 = 933\n", "ones 7 + 6 = 13, so 3\n", "tens 4 + 8 + 1 = 13, so 33\n"]


def planted(rng: random.Random) -> Iterator[tuple[str, str]]:
    """(kind, looping text): exact, with a counter, a few sentences in any order, long passages."""
    one, few = prose(rng, rng.randrange(1, 4)), [prose(rng, 1) for _ in range(3)]
    yield "exact", one * 200
    yield "word", rng.choice(["Wait, ", "no ", "hmm. ", "1 + 1 = 2, "]) * 800
    yield (
        "counter",
        "".join(f"Attempt {number}: {prose(random.Random(7), 9)}\n" for number in range(100)),
    )
    yield "any order", "".join(rng.choice(few) for _ in range(600))
    yield "long", prose(rng, 25) * 30
    short = prose(random.Random(rng.random()), 4)[:120]
    yield "counter, short", "".join(f"\nAttempt {number}: {short}" for number in range(200))
    yield "sums in any order", "".join(rng.choice(SUMS) for _ in range(300))


@pytest.mark.parametrize("encode", [words, letters])
@pytest.mark.parametrize("before", [0, 3, 40])
def test_planted_loops_are_found_where_they_begin(encode: Encode, before: int) -> None:
    missed = []
    for seed in range(4):
        rng = random.Random(seed)
        start = prose(rng, before)
        for kind, loop in planted(rng):
            if encode is letters and kind in ("any order", "long", "counter"):
                continue  # sentences of hundreds of bytes: as many tokens are not looked at
            ids = encode(start + loop)
            hit = found(ids)
            if hit is None or hit[1] < len(encode(start)):
                missed.append((kind, seed, hit))
            else:
                assert hit[1] <= hit[0]
    assert not missed


NO_LOOPS = {
    "prose": lambda rng: prose(rng, 400),
    "digits": lambda rng: "".join(rng.choice("0123456789") for _ in range(3000)),
    "zeros": lambda rng: "10^500 is 1" + "0" * 500 + ". " + prose(rng, 30),
    "ones and zeros": lambda rng: "".join(rng.choice("01") for _ in range(2000)),
    "recurring decimal": lambda rng: "1/7 = 0." + "142857" * 60 + "... " + prose(rng, 30),
    "table": lambda rng: (
        "| n | n^2 | odd |\n|---|---|---|\n"
        + "".join(f"| {n} | {n * n} | {'yes' if n % 2 else 'no'} |\n" for n in range(150))
    ),
    "wide rule": lambda rng: "|" + "---|" * 200 + "\n" + "| 0 " * 200 + "|\n" + prose(rng, 30),
    "list": lambda rng: "".join(
        f"{n}. Check {n}: {n} mod 7 is {n % 7}, so go on.\n" for n in range(300)
    ),
    "truth table": lambda rng: "".join(
        f"| {' | '.join('TF'[n >> bit & 1] for bit in range(6))} | {rng.choice('TF')} |\n"
        for n in range(64)
    ),
    "code": lambda rng: "".join(
        f"    if name == '{rng.choice(WORDS)}{n}':\n        return {n}\n" for n in range(150)
    ),
    "said three times": lambda rng: prose(rng, 6) * 3,
    "squares": lambda rng: "".join(
        f"For n = {n} we get n^2 + 1 = {n * n + 1}, which is {'' if n % 3 else 'not '}a multiple "
        "of what we want, so we go on.\n"
        for n in range(1, 80)
    ),
    "divisors": lambda rng: "".join(
        f"Is {n} a divisor? The remainder of 7919 by {n} is {7919 % n}, so it is not, "
        "and we take the next one.\n"
        for n in range(2, 80)
    ),
    "cases": lambda rng: "".join(
        f"Case {n}: x = {rng.randrange(50)}, y = {rng.randrange(50)}. "
        f"Then the left side is {rng.randrange(900)} and the right side is "
        f"{rng.randrange(900)}. These are not equal, so this case gives no solution.\n"
        for n in range(1, 60)
    ),
    "quotients": lambda rng: "".join(
        f"7919 / {n} = {7919 / n:.2f}, not an integer.\n" for n in range(2, 200)
    ),
    "multiplication": lambda rng: "".join(
        f"{a} x {b} = {a * b}\n" for a in range(1, 21) for b in range(1, 21)
    ),
    "binary": lambda rng: "".join(f"{n:08b}\n" for n in range(256)),
    "wide table": lambda rng: "".join(
        f"| {' | '.join(str(rng.randrange(3)) for _ in range(12))} |\n" for _ in range(150)
    ),
    "zero table": lambda rng: "".join(f"| {n} | 0 | 0 | 0 | 0 | 0 | 0 |\n" for n in range(200)),
    "matrix": lambda rng: ("0 " * 20 + "\n") * 20 + prose(rng, 30),
}


@pytest.mark.parametrize("encode", [words, letters])
@pytest.mark.parametrize("kind", NO_LOOPS)
def test_regular_text_is_no_loop(kind: str, encode: Encode) -> None:
    assert [seed for seed in range(4) if found(encode(NO_LOOPS[kind](random.Random(seed))))] == []


def test_zeros_without_end_are_a_loop() -> None:
    assert found(letters("0" * 3000)) == (1024, 1)


@given(
    st.lists(st.integers(97, 122), min_size=1, max_size=200),
    st.lists(st.integers(48, 57), max_size=100),
)
def test_an_exact_cycle_is_found_soon(cycle: list[int], before: list[int]) -> None:
    ids = before + cycle * (3000 // len(cycle))
    hit = found(ids)
    assert hit is not None
    assert hit[0] <= len(before) + max(128, 4 * len(cycle)) + 32 + GRAM
    assert ids[hit[1] :][:64] == ids[hit[1] - len(cycle) :][:64] or hit[1] <= len(before) + len(
        cycle
    )
    assert hit[1] <= len(before) + 1 + len(cycle)


def test_what_is_restated_word_for_word_is_found_in_a_shorter_stretch() -> None:
    """Its lines come back within the round too, which hides the length of the round."""
    round_ = "".join(SUMS[index] for index in (0, 2, 0, 1))
    hit = found(letters(round_ * 30))
    assert hit
    assert hit[0] <= RESTATED_WINDOW[0] < WINDOWS[0][0]
