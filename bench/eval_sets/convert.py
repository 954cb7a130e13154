"""Turn a benchmark that you downloaded into a set for `minireason eval`.

    python bench/eval_sets/convert.py FILE SET.jsonl --expect 30

Reads JSONL, JSON (a list, or an object with one), CSV, and, where pyarrow is installed, parquet.
The question is taken from a field called problem, question or prompt and the answer from answer,
expected_answer or final_answer, in capitals or not; solutions are dropped, all else is kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

QUESTIONS = ("problem", "question", "prompt")
ANSWERS = ("answer", "expected_answer", "final_answer")
DROPPED = ("solution",)


def rows(path: Path) -> Iterable[dict[str, Any]]:
    """The records of a file."""
    match path.suffix.lower():
        case ".parquet":
            try:
                import pyarrow.parquet as parquet
            except ImportError:
                sys.exit(
                    "Parquet needs pyarrow; install it with: pip install pyarrow, or download the "
                    "JSONL instead."
                )
            return list(parquet.read_table(path).to_pylist())
        case ".csv":
            return list(csv.DictReader(path.read_text("utf-8-sig").splitlines(keepends=True)))
        case ".json":
            content = json.loads(path.read_text("utf-8"))
            if isinstance(content, list):
                return content
            return next(value for value in content.values() if isinstance(value, list))
        case _:
            lines = path.read_text("utf-8").splitlines()
            return [json.loads(line) for line in lines if line.strip()]


def item(row: dict[str, Any]) -> dict[str, Any]:
    """One record as eval reads it.

    Raises KeyError with its fields if question or answer is missing.
    """
    fields = {name.lower(): value for name, value in row.items()}
    question = next((name for name in QUESTIONS if fields.get(name)), None)
    answer = next((name for name in ANSWERS if fields.get(name) not in (None, "")), None)
    if question is None or answer is None:
        raise KeyError(", ".join(row))
    kept = {
        name: value for name, value in fields.items() if name not in (question, answer, *DROPPED)
    }
    return {
        "question": str(fields[question]).strip(),
        "answer": str(fields[answer]).strip(),
        **kept,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("set", type=Path)
    parser.add_argument(
        "--expect",
        type=int,
        help="how many items there have to be: 30 of AIME 2024, 500 of MATH-500",
    )
    arguments = parser.parse_args()
    try:
        items = [item(row) for row in rows(arguments.file)]
    except (OSError, ValueError) as error:
        sys.exit(f"{arguments.file} cannot be read: {error}")
    except KeyError as error:
        problem = f"has no question or no answer among its fields: {error.args[0]}"
        sys.exit(f"A record of {arguments.file} {problem}")
    if arguments.expect is not None and len(items) != arguments.expect:
        count = f"{len(items)} items, not {arguments.expect}"
        sys.exit(f"{arguments.file} has {count}; is it the right file?")
    lines = [json.dumps(one, ensure_ascii=False, default=str) + "\n" for one in items]
    arguments.set.write_text("".join(lines), "utf-8")
    print(f"{len(items)} items in {arguments.set}")


if __name__ == "__main__":
    main()
