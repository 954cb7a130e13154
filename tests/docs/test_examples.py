"""Each program in examples/ runs as its docstring says, with the built-in model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: str, folder: Path, typed: str = "") -> tuple[str, str]:
    """The standard output and the standard error of an example that ends with 0."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_stream(tmp_path: Path) -> None:
    answer, thinking = run("stream.py", "What is 12 + 5?", folder=tmp_path)
    assert answer.strip() == "The answer is \\boxed{17}."
    assert thinking.startswith("12 + 5")


def test_stream_lands(tmp_path: Path) -> None:
    answer, thinking = run("stream.py", "What is 12 + 5?", "--budget", "20", folder=tmp_path)
    assert answer.strip()
    count = int(thinking.split()[-4])
    assert 0 < count <= 25, "it may finish its line, within a quarter of the budget"


def test_chat_goes_on_where_it_was(tmp_path: Path) -> None:
    answer, _ = run("chat.py", folder=tmp_path, typed="What is 12 + 5?\n")
    assert answer.strip() == "The answer is \\boxed{17}."
    answer, told = run("chat.py", folder=tmp_path, typed="Add 4 to that.\n")
    assert answer.strip() == "The answer is \\boxed{21}."
    assert "1 turns so far" in told


def test_solve(tmp_path: Path) -> None:
    answer, votes = run("solve.py", "What is 12 + 5?", "--samples", "3", folder=tmp_path)
    assert answer.startswith("17 (")
    assert "17: 1 (2 chains open)" in votes


def test_async_many(tmp_path: Path) -> None:
    printed, _ = run("async_many.py", "--questions", "3", folder=tmp_path)
    *replies, last = printed.splitlines()
    assert sorted(reply.split()[-1] for reply in replies) == ["100", "107", "93"]
    assert " tokens in " in last


@pytest.mark.slow
def test_schema(tmp_path: Path) -> None:
    answer, _ = run("schema.py", folder=tmp_path)
    assert answer.startswith(("Person(name=", "cut off: {"))


@pytest.mark.slow
def test_evaluate(tmp_path: Path) -> None:
    printed, _ = run("evaluate.py", "--samples", "2", folder=tmp_path)
    alone, voted = printed.splitlines()
    assert alone.startswith("one chain is right in ")
    assert voted.startswith("a vote of 2 in ")


@pytest.mark.slow
def test_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray comes with the extra ray")
    printed, _ = run("cluster.py", folder=tmp_path)
    lost, last = printed.splitlines()
    assert lost == "lost a worker after 50 replies"
    assert last == "200 replies from the cluster, 200 the same as without it"
