"""Read facts out of text into a class: the model thinks freely, then its answer fits the class.

`python examples/schema.py "Ann, 31, lives in Oslo." --model r1-7b` (extra `schema`).
The built-in model has never seen JSON: it keeps to the form and fills it with nonsense.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import minireason


@dataclass
class Person:
    """What to look for; the model sees the names only where the question says them."""

    name: str
    age: int
    city: str


QUESTION = "Who is this about? Give the name, the age in years and the city.\n\n{text}"


def main() -> None:
    """Read one text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", nargs="?", default="Ann, 31, lives in Oslo.")
    parser.add_argument("--model", default="tiny")
    arguments = parser.parse_args()
    with minireason.load(arguments.model) as reasoner:
        question = QUESTION.format(text=arguments.text)
        reply = reasoner.ask(question, schema=Person, max_tokens=2_000)
        print(reply.parsed or f"cut off: {reply.answer[:60]}...")


if __name__ == "__main__":
    main()
