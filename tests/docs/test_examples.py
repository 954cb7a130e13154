"""Each program in examples/ runs as its docstring says, with the built-in model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import minireason
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


def test_server(tmp_path: Path) -> None:
    asked = ("server.py", "What is 12 + 5?", "--samples", "3")
    printed, thinking = run(*asked, folder=tmp_path)
    answer, told, vote = printed.splitlines()
    assert answer == "The answer is \\boxed{17}."
    assert thinking.startswith("12 + 5")
    assert told.endswith("tokens of thinking, which ended by: natural")
    assert vote.startswith("17 by ")
    with served() as url:
        printed, _ = run(*asked, "--url", url, "--budget", "10", folder=tmp_path)
    assert "which ended by: budget" in printed


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


@contextmanager
def served() -> Iterator[str]:
    """The URL of `minireason serve` with the built-in model, in a process of its own."""
    command = [sys.executable, "-m", "minireason", "serve", "--model", "tiny", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"{process.stdout.readline().split()[-1]}v1"
        finally:
            process.terminate()


@pytest.mark.slow
def test_ray_data_llm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("ray", "pandas", "pyarrow", "aiohttp"):
        pytest.importorskip(module, reason="it comes with the extra test-ray")
    monkeypatch.setenv("RAY_ADDRESS", "local")  # and no cluster of somebody else's here
    questions = {f"q{number}": f"What is {number} + {7 * number}?" for number in range(1, 25)}
    asked = {**questions, "long": "1 + " * 60_000}
    source = tmp_path / "in.jsonl"
    lines = (json.dumps({"id": name, "question": question}) for name, question in asked.items())
    source.write_text("\n".join(lines))
    with served() as url:
        options = ("--url", url, "--budget", "20", "--workers", "2")
        printed, _ = run("ray_data_llm.py", "in.jsonl", "out.jsonl", *options, folder=tmp_path)
    assert printed.splitlines()[-1] == "25 replies in out.jsonl"
    read = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    replies = {line["id"]: line for line in read}
    assert len(replies) == len(read) == 25, "each comes once"
    refused = replies.pop("long")
    assert refused["answer"] is None
    assert json.loads(refused["error"])["code"] == "context_length_exceeded"
    with minireason.load("tiny") as reasoner:
        for name, question in questions.items():
            reply = reasoner.ask(question, temperature=0, thinking_budget=20)
            got = replies[name]
            assert (got["thinking"], got["answer"]) == (reply.thinking, reply.answer)
            assert got["error"] is None
