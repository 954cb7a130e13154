"""minireason eval as a user runs it: processes, files, kills."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minireason import FinishReason, Reply, ThinkingEnd
from minireason.cli.main import main
from minireason.reasoning.reply import ReplyBuilder
from tests.backends.remote.conftest import misbehaving
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, refused, reply
from tests.cli.run import COMMAND, Result, Running, assert_one_sentence, minireason
from tests.server.conftest import server, tiny_url

__all__ = ["misbehaving", "server", "tiny_url"]

TINY = ("--model", "tiny", "--threads", "1")
ITEMS = [
    (f"What is {first} + {second}?", str(first + second))
    for first, second in ((5, 8), (47, 86), (12, 9), (310, 4), (77, 77))
]


@pytest.fixture
def item_set(tmp_path: Path) -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text(
        "".join(
            json.dumps({"question": question, "answer": answer}) + "\n"
            for question, answer in ITEMS
        )
    )
    return path


def evaluate(*arguments: str | Path) -> Result:
    return minireason("eval", *map(str, arguments), *TINY)


def chains(path: Path) -> dict[tuple[int, int], dict[str, object]]:
    """What each chain came to, but for how long it took."""
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return {
        (line["line"], line["chain"]["index"]): {**line["chain"], "total_s": 0} for line in lines
    }


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_run_goes_on_and_comes_to_the_same(item_set: Path, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    # What is drafted depends on what was measured, and moves the last bits of the confidence.
    options = ("-n", "4", "--temperature", "1.2", "--parallel", "1", "--reproducible")
    uninterrupted = evaluate(item_set, *options, "--seed", "3", "-o", whole, "--json")
    assert uninterrupted.code == 0, uninterrupted
    assert uninterrupted.err == ""

    run = Running("eval", str(item_set), *options, "--seed", "3", "-o", str(torn), *TINY)
    while not torn.exists() or torn.read_bytes().count(b"\n") < 4:
        time.sleep(0.005)
        assert run.runs, "it was to be killed in the middle"
    run.kill()
    kept = torn.read_bytes()
    assert 4 <= kept.count(b"\n") < 21
    torn.write_bytes(kept + b'{"line": 2, "item": {"ques')  # as a power cut would leave it

    resumed = evaluate(item_set, *options, "-o", torn, "--json")  # the seed is the file's
    assert resumed.code == 0, resumed
    assert torn.read_bytes().startswith(kept), "what there was is not run again"
    assert chains(torn) == chains(whole)
    scores, again = json.loads(uninterrupted.out), json.loads(resumed.out)
    for name in ("pass_at_1", "majority", "tokens", "reliability", "items", "run"):
        assert again[name] == scores[name]
    assert (scores["items"], scores["samples"], len(scores["majority"])) == (5, 4, 4)
    assert scores["majority"][0]["value"] == pytest.approx(scores["pass_at_1"]["value"])


OLD = Path(__file__).parent / "old_traces"
"""A set, and the traces of two of its items that the code of commit f40dff4 wrote.

    minireason eval set.jsonl --model tiny -n 2 --limit 2 --seed 3 --temperature 1.2

The first chain was made to go round in circles, so another one replaced it.
"""

OLD_SEEDS = {(1, 2): 2804551300, (3, 0): 3501027959, (3, 1): 1570341698}
OLD_SEEDS |= {(2, 2): 504915937, (3, 2): 2406075872}
"""Those of the chains that the code of that commit added with -n 3, by line and index."""


@pytest.mark.parametrize("torn", [b"", b'{"line": 3, "item": {"ques'])
def test_traces_of_an_older_version_go_on(tmp_path: Path, torn: bytes) -> None:
    path, old = tmp_path / "traces.jsonl", (OLD / "traces.jsonl").read_bytes()
    path.write_bytes(old + torn)
    options = ("-n", "3", "--temperature", "1.2", "-o", path, "--json")
    result = evaluate(OLD / "set.jsonl", *options)
    assert result.code == 0, result
    scores = json.loads(result.out)
    assert (scores["items"], scores["samples"], scores["run"]["seed"]) == (3, 3, 3)
    assert path.read_bytes().startswith(old), "what there was is not run again"
    lines = [json.loads(line) for line in path.read_bytes()[len(old) :].splitlines()]
    seeds = {(line["line"], line["chain"]["index"]): line["chain"]["seed"] for line in lines}
    assert seeds == OLD_SEEDS
    assert all(line.keys() == {"line", "item", "chain", "run_s"} for line in lines)
    assert evaluate(OLD / "set.jsonl", *options).code == 0
    assert len(path.read_bytes().splitlines()) == 1 + 5 + len(OLD_SEEDS), "nothing is run again"


def test_the_same_command_finds_its_traces_and_other_runs_are_refused(
    item_set: Path, tmp_path: Path
) -> None:
    first = evaluate(item_set, "--seed", "3", "--limit", "2")
    assert first.code == 0
    assert "The chains are written to " in first.err
    assert first.out.splitlines()[0] == "\tright\t95% interval\tby"
    assert first.out.splitlines()[1].startswith("pass@1\t100.0%\t34.2 to 100.0\tWilson")
    more = evaluate(item_set, "--seed", "3", "--limit", "3")
    assert "2 of 3 chains are in" in more.err
    path = next((Path(os.environ["MINIREASON_HOME"]) / "evals").iterdir())
    crowded = evaluate(
        item_set, "--seed", "3", "--parallel", "4", "--ctx", "256", "-o", tmp_path / "new.jsonl"
    )
    assert "There is no room for 4 chains at a time" in crowded.err
    for other in (("--seed", "4"), ("--seed", "3", "--temperature", "1")):
        assert_one_sentence(evaluate(item_set, *other, "-o", path), 2, "belongs to another run")
    notes = tmp_path / "notes.txt"
    notes.write_text("mine\n")
    assert_one_sentence(evaluate(item_set, "-o", notes), 2, "no traces")
    assert notes.read_text() == "mine\n"


def test_broken_lines_are_named_and_the_rest_runs(item_set: Path) -> None:
    text = item_set.read_text().splitlines()[:2]
    item_set.write_text(
        "\n".join(
            [text[0], "{broken", text[1], json.dumps({"question": "1 + " * 1100, "answer": 0})]
        )
        + "\n"
    )
    result = evaluate(item_set, "--seed", "1", "--ctx", "2048", "--json")
    assert result.code == 7
    assert "Line 2 of set.jsonl is left out: it is no JSON.\n" in result.err
    assert "Line 4 of set.jsonl is left out: The prompt has" in result.err
    assert "or give a larger --ctx, up to 4096." in result.err
    scores = json.loads(result.out)
    assert (scores["items"], list(scores["broken"])) == (2, ["2", "4"])
    again = evaluate(item_set, "--seed", "1", "--ctx", "2048", "--json")
    assert (again.code, json.loads(again.out)) == (7, scores), (
        "a run that is complete says the same again"
    )


def test_at_temperature_0_nothing_is_replaced(
    item_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ReplyBuilder.make

    def looping(self: ReplyBuilder, reason: FinishReason, _end: ThinkingEnd | None) -> Reply:
        return make(self, reason, "loop")

    monkeypatch.setattr(ReplyBuilder, "make", looping)
    path = tmp_path / "traces.jsonl"
    arguments = [
        "eval",
        str(item_set),
        "-n",
        "8",
        "--temperature",
        "0",
        "--limit",
        "2",
        "-o",
        str(path),
        *TINY,
    ]
    assert main(arguments) == 0
    assert len(path.read_text().splitlines()) == 3, "the head and one chain each"


def test_replay_and_plot(item_set: Path, tmp_path: Path) -> None:
    traces, picture = tmp_path / "traces.jsonl", tmp_path / "vote.png"
    assert (
        evaluate(
            item_set, "-n", "8", "--seed", "2", "--temperature", "1.2", "--limit", "3", "-o", traces
        ).code
        == 0
    )
    before = traces.read_bytes()
    result = minireason("eval", "--replay", str(traces), "--plot", str(picture))
    assert result.code == 0, result
    table = [line.split("\t") for line in result.out.split("\n\n")[1].splitlines()]
    assert [row[:3] for row in table[1:]] == [
        [stop, str(count), "4"] for count in (4, 8) for stop in ("none", "lead", "beta")
    ]
    assert traces.read_bytes() == before
    assert picture.read_bytes().startswith(b"\x89PNG")
    fewer = json.loads(
        minireason(
            "eval", "--replay", str(traces), "--samples", "4", "--parallel", "2", "--json"
        ).out
    )
    assert [
        (policy["stop"], policy["samples"], policy["parallel"]) for policy in fewer["policies"]
    ] == [(stop, 4, 2) for stop in ("none", "lead", "beta")]
    assert_one_sentence(minireason("eval", "--replay", str(traces), "--samples", "9"), 2, "No item")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "There is no set"),
        (("missing.jsonl",), "cannot be read"),
        (("set.jsonl", "-n", "0"), "--samples 0"),
        (("set.jsonl", "--limit", "0"), "--limit 0"),
        (("set.jsonl", "--temperature", "-1"), "--temperature -1"),
        (("set.jsonl", "-n", "4", "--plot", "vote.doc"), ".png, .svg, .pdf"),
        (("set.jsonl", "-n", "4", "--plot", "nowhere/vote.png"), "no directory nowhere"),
        (("set.jsonl", "--plot", "vote.png"), "only one chain"),
        (("--replay", "missing.jsonl"), "--replay reads what is there"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], part: str) -> None:
    assert_one_sentence(evaluate(*arguments), 2, part)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a process alone")
def test_ctrl_c_keeps_what_there_is(item_set: Path, tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    run = Running("eval", str(item_set), "-n", "64", "-o", str(path), *TINY)
    while not path.exists() or path.read_bytes().count(b"\n") < 2:
        time.sleep(0.01)
        assert run.runs, "it was to be stopped in the middle"
    run.send_signal(signal.SIGINT)
    result = run.ended()
    assert result.code == 130
    assert "the same command goes on" in result.err
    assert "Traceback" not in result.err
    assert chains(path)


def test_a_bar_on_a_terminal(item_set: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    environment = os.environ | {"TERM": "xterm-256color"}
    command = ["-m", "minireason", "eval", str(item_set), "-n", "2", *TINY]
    child = pexpect.spawn(
        COMMAND[0], command, encoding="utf-8", timeout=60, dimensions=(40, 120), env=environment
    )
    child.expect("━━━.* tokens, .*/s")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert "majority@2" in child.before


def test_over_a_server_the_greedy_chains_are_those_of_this_machine(
    item_set: Path, tmp_path: Path, tiny_url: str
) -> None:
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    options = ("--temperature", "0", "--seed", "3")
    over = ("eval", str(item_set), *options, "--url", f"{tiny_url}/v1")
    assert evaluate(item_set, *options, "-o", here).code == 0
    result = minireason(*over, "-o", str(there))
    assert result.code == 0, result
    assert _texts(there) == _texts(here)
    run = json.loads(there.read_text().splitlines()[0])["run"]
    assert (run["model"], run["model_sha256"]) == (f"tiny at {tiny_url}/v1", "")
    assert "5 of 5 chains are in" in minireason(*over, "-o", str(there)).err
    assert minireason("eval", "--replay", str(there)).code == 0
    elsewhere = evaluate(item_set, *options, "-o", there)
    assert_one_sentence(elsewhere, 2, "belongs to another run (its model is")
    first = minireason(*over, "--limit", "1")
    assert "The chains are written to " in first.err, "its traces have a place of their own"


def _texts(path: Path) -> dict[tuple[int, int], tuple[object, ...]]:
    names = ("seed", "thinking", "text", "answer", "finish")
    return {key: tuple(chain[name] for name in names) for key, chain in chains(path).items()}


def test_a_server_that_fails_ends_the_run_and_the_same_command_goes_on(
    item_set: Path, tmp_path: Path, misbehaving: Callable[..., Misbehaving]
) -> None:
    path, broken = tmp_path / "traces.jsonl", ["12 + 9"]

    def answer(body: dict[str, Any]) -> Answer:
        if any(part in body["messages"][-1]["content"] for part in broken):
            return refused(503, "no room", Retry_After="0")
        return reply(chunk(content="It is \\boxed{13}."))

    server = misbehaving(*[answer] * 20)
    command = ("eval", str(item_set), "-o", str(path), "--url", server.url, "--parallel", "1")
    stopped = minireason(*command)
    assert stopped.code == 6, stopped
    assert f"Stopped with 2 chains in {path}; the same command goes on." in stopped.err
    assert "cannot answer now (status 503: no room)" in stopped.err
    broken.clear()
    resumed = minireason(*command)
    assert resumed.code == 0, resumed
    assert "2 of 5 chains are in" in resumed.err
    assert resumed.out.splitlines()[1].startswith("pass@1\t20.0%")


def test_an_item_that_the_server_refuses_is_named_and_the_rest_runs(
    item_set: Path, tmp_path: Path, misbehaving: Callable[..., Misbehaving]
) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        is_refused = "12 + 9" in body["messages"][-1]["content"]
        return refused(400, "not this one") if is_refused else reply(chunk(content="13"))

    server = misbehaving(*[answer] * 20)
    command = ("eval", str(item_set), "-o", str(tmp_path / "traces.jsonl"), "--url", server.url)
    result = minireason(*command, "-n", "2", "--json")
    assert result.code == 7, result
    assert result.err.count("Line 3 of set.jsonl is left out: ") == 1
    assert "refused the request (status 400): not this one" in result.err
    scores = json.loads(result.out)
    assert (scores["items"], list(scores["broken"])) == (4, ["3"])


def test_a_set_of_which_nothing_can_be_asked_says_why(item_set: Path) -> None:
    item_set.write_text(2 * (json.dumps({"question": "1 + " * 1100, "answer": 0}) + "\n"))
    result = evaluate(item_set, "--ctx", "2048", "--json")
    assert_one_sentence(result, 1, "The prompt has")


def test_a_replay_asks_no_server() -> None:
    result = minireason("eval", "--replay", "traces.jsonl", "--url", "http://127.0.0.1:1/v1")
    assert_one_sentence(result, 2, "--replay reads what is there")
