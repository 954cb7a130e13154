"""Files of questions and of replies, and what is wrong with the latter."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Compared:
    """A file of replies beside its questions: none of these may be."""

    lost: int
    """Questions without a reply."""

    twice: int
    """Replies beyond the first of a question, or to none of them."""

    broken: int
    """Lines that are no reply."""

    different: int | None = None
    """Replies that are not those of another run; None where there is none to compare with."""


def write(path: Path, count: int) -> None:
    """Write so many questions, which are sums."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, count + 1):
            question = f"What is {number} + {7 * number}?"
            file.write(json.dumps({"id": f"q{number}", "question": question}) + "\n")


def compared(source: Path, out: Path, other: Path | None = None) -> Compared:
    """What is wrong with the replies; `other` is a file that has the same ones."""
    asked = {json.loads(line)["id"] for line in source.read_text("utf-8").splitlines()}
    replies, broken = _read(out)
    times = Counter(name for name, _ in replies)
    twice = sum(count - (name in asked) for name, count in times.items())
    different = None
    if other:
        theirs = dict(_read(other)[0])
        different = sum(theirs.get(name) != reply for name, reply in replies)
    return Compared(len(asked - times.keys()), twice, broken, different)


def _read(path: Path) -> tuple[list[tuple[Any, tuple[str, str]]], int]:
    """The ids with thought and answer, and how many lines are no reply."""
    replies, broken = [], 0
    for line in path.read_bytes().splitlines():
        try:
            value = json.loads(line)
            said = value["reply"]["thinking"], value["reply"]["answer"]
            replies.append((value["id"], said))
        except (ValueError, TypeError, KeyError):
            broken += 1
    return replies, broken
