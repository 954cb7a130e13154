"""Measure the loop detector alone: what it finds, what it takes for a loop, and what it costs.

A part of thinking.py.

Loops are made of the text that they follow, in tiny's thoughts (a token a byte) and in English text
in ids spread over a vocabulary as large as that of the 1.5B distill (a token a word, digit or
sign). Nothing here has a loop that says the same thing in ever new words; on ids alone there is no
finding one.
"""

from __future__ import annotations

import ast
import itertools
import os
import pydoc_data.topics
import random
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minireason.reasoning.loops import LoopDetector

VOCABULARY = 151_936
LOOP_TOKENS = 4096
"""A planted loop goes on for this long, and has to be found within it."""
PLANTED = 100
"""Loops of each kind in each vocabulary."""
PAGE_TOKENS = 3000

Ids = list[int]


class Words:
    """Text as ids of a large vocabulary, drawn once for each word, digit and sign."""

    def __init__(self, rng: random.Random) -> None:
        self._ids: dict[str, int] = {}
        self._pieces: dict[int, bytes] = {}
        self._spare = iter(rng.sample(range(VOCABULARY), VOCABULARY))

    def encode(self, text: str) -> Ids:
        ids = []
        for piece in re.findall(r" ?[^\W\d_]+|\d|\s+|[^\w\s]|_", text):
            if piece not in self._ids:
                self._ids[piece] = next(self._spare)
                self._pieces[self._ids[piece]] = piece.encode()
            ids.append(self._ids[piece])
        return ids

    def piece(self, token: int) -> bytes:
        return self._pieces[token]


def byte(token: int) -> bytes:
    return bytes([token])


def english() -> str:
    """What Python says about itself.

    The reference's topics, and the docstrings of its library's modules.
    """
    texts = list(pydoc_data.topics.topics.values())
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_bytes())
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        texts += [
            text
            for node in ast.walk(tree)
            if isinstance(node, kinds) and (text := ast.get_docstring(node))
        ]
    return "\n\n".join(texts)


def planted(
    start: Ids, encode: Callable[[str], Ids], rng: random.Random
) -> Iterator[tuple[str, Ids]]:
    """(kind, tokens of a loop) that could follow these tokens.

    Passages of theirs, over and over.
    """

    def passage(low: int, high: int) -> Ids:
        length = rng.randint(min(low, len(start)), min(high, len(start)))
        begin = rng.randint(0, len(start) - length)
        return start[begin : begin + length]

    def rounds(make: Callable[[int], Ids]) -> Ids:
        tokens: Ids = []
        count = 0
        while len(tokens) < LOOP_TOKENS:
            count += 1
            tokens += make(count)
        return tokens[:LOOP_TOKENS]

    line = encode("\n")
    short, middle, long = passage(3, 20), passage(20, 100), passage(100, 250)
    few = [passage(15, 40) + line for _ in range(3)]
    yield "a few tokens", rounds(lambda _: short)
    yield "a sentence", rounds(lambda _: middle)
    yield "a paragraph", rounds(lambda _: long)
    yield "with a counter", rounds(lambda count: encode(f"\nAttempt {count}: ") + middle)
    yield "any order", rounds(lambda _: rng.choice(few))


def found(ids: Ids, piece: Callable[[int], bytes]) -> tuple[int, int] | None:
    """(tokens fed until a loop is found, where it begins)."""
    detector = LoopDetector(piece)
    for count, token in enumerate(ids, 1):
        if loop := detector.feed(token):
            return count, loop.begin
    return None


def recall(
    texts: list[Ids],
    encode: Callable[[str], Ids],
    piece: Callable[[int], bytes],
    rng: random.Random,
) -> dict[str, Any]:
    """Of each kind: loops found, the delay, and how many kept all that came before them.

    The delay is in tokens from the loop's first.
    """
    hits: dict[str, list[tuple[int, bool] | None]] = {}
    for index in range(PLANTED):
        text = texts[index % len(texts)]
        start = text[: rng.randint(min(len(text), 40), len(text))]
        for kind, loop in planted(start, encode, rng):
            hit = found(start + loop, piece)
            hits.setdefault(kind, []).append(
                (hit[0] - len(start), hit[1] >= len(start)) if hit else None
            )
    kinds = {}
    for kind, all_of in hits.items():
        seen = [hit for hit in all_of if hit]
        delay = statistics.median(hit[0] for hit in seen) if seen else None
        kinds[kind] = {
            "planted": len(all_of),
            "found": len(seen),
            "delay_tokens": delay,
            "kept": sum(hit[1] for hit in seen),
        }
    return kinds


def cost(texts: list[Ids], piece: Callable[[int], bytes]) -> float:
    """Seconds a token, over as many texts as make 5,000 tokens."""
    ids = list(itertools.islice(itertools.chain.from_iterable(texts), 5000))
    detector = LoopDetector(piece)
    started = time.perf_counter()
    for token in ids:
        detector.feed(token)
    return (time.perf_counter() - started) / len(ids)


def measure(thoughts: list[str], decode_seconds: dict[str, float]) -> dict[str, Any]:
    """All of it, for thoughts of tiny and for the large vocabulary."""
    rng = random.Random(2)
    words = Words(rng)
    text = words.encode(english())
    pages = [text[at : at + PAGE_TOKENS] for at in range(0, len(text) - PAGE_TOKENS, PAGE_TOKENS)]
    own = [list(thought.encode()) for thought in thoughts]
    results = {}
    for name, texts, encode, piece, size in (
        ("tiny", own, lambda text: list(text.encode()), byte, "tiny"),
        ("152k", pages, words.encode, words.piece, "1.5B"),
    ):
        per_token = statistics.median(cost(texts, piece) for _ in range(5))
        results[name] = {
            "kinds": recall(rng.sample(texts, len(texts)), encode, piece, rng),
            "texts": len(texts),
            "tokens": sum(map(len, texts)),
            "false_alarms": sum(found(text, piece) is not None for text in texts),
            "seconds_per_token": per_token,
            "share_of_decode": per_token / decode_seconds[size],
        }
    return results


def table(results: dict[str, Any]) -> str:
    """Markdown: loops found by kind, false alarms and cost."""
    lines = [
        "| planted loop | "
        + " | ".join(f"{name}: found | tokens until then" for name in results)
        + " |"
    ]
    lines.append("|---" + "|---:|---:" * len(results) + "|")
    for kind in next(iter(results.values()))["kinds"]:
        cells = [of["kinds"][kind] for of in results.values()]
        lines.append(
            f"| {kind} | "
            + " | ".join(
                f"{cell['found']} of {cell['planted']} | {cell['delay_tokens']}" for cell in cells
            )
            + " |"
        )
    for name, of in results.items():
        all_of = of["kinds"].values()
        share, kept = (
            sum(kind[key] for kind in all_of) / sum(kind["planted"] for kind in all_of)
            for key in ("found", "kept")
        )
        lines += [
            "",
            f"{name}: {share:.1%} found ({kept:.1%} without loss of what came before); "
            f"{of['false_alarms']} of {of['texts']:,} ordinary texts ({of['tokens']:,} tokens) "
            f"taken for a loop; {of['seconds_per_token'] * 1e6:.2f} us a token, "
            f"{of['share_of_decode']:.2%} of decoding",
        ]
    return "\n".join(lines)
