"""How often we agree with the pairs in math-verify's own tests, with the extra `math` and without.

    pip download --no-deps --no-binary :all: math-verify && tar xzf math_verify-*.tar.gz
    python bench/math_verify_pairs.py math_verify-0.8.0/tests [--rest]

The pairs (gold, prediction, whether they are the same) are read out of the test files' source;
nothing of it is run or kept. A text counts as its final answer, or as it is where it states none.
`--rest` prints every pair on which we do not agree with the extra.

Of the 268 pairs of 0.8.0 we differ on these, and mean to:

- a formula within single dollars over several lines is read all the same (2);
- numbers that differ are different: 1/12 and 0.0833333333333333, 1/3 and 0.33, 8/3 and 2.6667 (3);
- (1,3) is a tuple, {1,3} in TeX's braces a bare list, \\{1,3\\} a set: three answers (2);
- the same is so in both directions: -2 <= x <= 7 and [-2,7] (1);
- 1 - 1/e is not 1 + 1/e; f(x) is not f(y) (2);
- two named polynomials and the same two in another form, without names, are not compared (1).
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from minireason import answers
from minireason.answers import math_verify

SHOWN_CHARS = 100


class Pair(NamedTuple):
    """Two texts of a test, and whether the test wants them to be the same."""

    test: str
    gold: str
    prediction: str
    same: bool

    def agreed(self) -> bool:
        return answers.same(answer(self.gold), answer(self.prediction)) == self.same


def answer(text: str) -> str:
    return answers.final_answer(text) or text


def pairs(folder: Path) -> Iterator[Pair]:
    """All parametrized pairs in the folder's tests that are written out."""
    for path in sorted(folder.glob("test_*.py")):
        for function in ast.parse(path.read_text("utf-8")).body:
            if isinstance(function, ast.FunctionDef):
                for decorator in function.decorator_list:
                    yield from parameters(function.name, decorator)


def parameters(test: str, decorator: ast.expr) -> Iterator[Pair]:
    if not isinstance(decorator, ast.Call):
        return
    if not ast.unparse(decorator.func).endswith("parametrize"):
        return
    try:
        names, rows = (ast.literal_eval(argument) for argument in decorator.args)
    except ValueError:  # rows that are computed
        return
    for row in rows:
        values = dict(zip(map(str.strip, names.split(",")), row, strict=True))
        if {"gold", "pred"} <= values.keys():
            same = values.get("expected", values.get("result"))
            yield Pair(test, values["gold"], values["pred"], bool(same))


def shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"... {line[-SHOWN_CHARS:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description="agreement with the pairs of math-verify's tests")
    parser.add_argument("tests", type=Path, help="the folder tests/ of math-verify's sdist")
    parser.add_argument("--rest", action="store_true", help="print each pair that we see otherwise")
    arguments = parser.parse_args()
    every = list(pairs(arguments.tests))
    if not every:
        parser.error(f"no pairs in {arguments.tests}; give the folder tests/ of the sdist")
    if math_verify.available():
        rest = [pair for pair in every if not pair.agreed()]
        print(f"with the extra math: {len(every) - len(rest)} of {len(every)}")
    else:
        rest = []
        print("with the extra math: not installed")
    with mock.patch.object(math_verify, "available", return_value=False):
        print(f"without it: {sum(pair.agreed() for pair in every)} of {len(every)}")
    for pair in rest if arguments.rest else ():
        print(f"\n{pair.test}, {'the same' if pair.same else 'different'} for the test:")
        print(f"  {shown(pair.gold)}  ->  {shown(answer(pair.gold))}")
        print(f"  {shown(pair.prediction)}  ->  {shown(answer(pair.prediction))}")


if __name__ == "__main__":
    main()
