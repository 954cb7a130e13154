"""The scripts of bench/eval_sets, as they are run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from minireason import answers
from minireason.evaluation.items import read

SCRIPTS = Path(__file__).parents[2] / "bench" / "eval_sets"


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / name, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_sums_are_different_can_be_checked_and_come_again(tmp_path: Path) -> None:
    made = script("sums.py", "--items", "40", "--seed", "5").stdout
    assert made == script("sums.py", "--items", "40", "--seed", "5").stdout
    assert made != script("sums.py", "--items", "40", "--seed", "6").stdout
    path = tmp_path / "sums.jsonl"
    path.write_text(made)
    sums = read(path)
    assert (len(sums.items), sums.broken) == (40, {})
    assert len({item.question for item in sums.items}) == 40
    assert all(
        answers.key(item.answer) == item.answer and int(item.answer) >= 0 for item in sums.items
    )
    assert len({item.further["family"] for item in sums.items}) == 8


def test_downloads_are_converted(tmp_path: Path) -> None:
    lines, table, whole = tmp_path / "math.jsonl", tmp_path / "aime.csv", tmp_path / "other.json"
    row = {
        "problem": "What is $1+1$?",
        "solution": "Two.",
        "answer": "2",
        "subject": "Algebra",
        "level": 1,
        "unique_id": "a/b.json",
    }
    lines.write_text(json.dumps(row) + "\n")
    table.write_text('ID,Problem,Solution,Answer\n2024-I-1,"What is 2,\nplus 31?",Add.,033\n')
    whole.write_text(json.dumps({"data": [{"Question": "q", "expected_answer": 5}]}))
    expected = {
        lines: {
            "question": "What is $1+1$?",
            "answer": "2",
            "subject": "Algebra",
            "level": 1,
            "unique_id": "a/b.json",
        },
        table: {"question": "What is 2,\nplus 31?", "answer": "033", "id": "2024-I-1"},
        whole: {"question": "q", "answer": "5"},
    }
    for source, item in expected.items():
        done = script("convert.py", source, tmp_path / "set.jsonl", "--expect", "1")
        assert done.returncode == 0, done
        assert read(tmp_path / "set.jsonl").items[0].json() == item


def test_what_cannot_be_converted_is_said(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"text": "q"}\n')
    for source, part in ((path, "fields: text"), (tmp_path / "missing.csv", "cannot be read")):
        done = script("convert.py", source, tmp_path / "out.jsonl")
        assert (done.returncode, part in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
    path.write_text('{"question": "q", "answer": "1"}\n')
    assert (
        "has 1 items, not 30"
        in script("convert.py", path, tmp_path / "out.jsonl", "--expect", "30").stderr
    )
    assert not (tmp_path / "out.jsonl").exists()
