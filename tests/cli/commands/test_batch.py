"""minireason batch as a user runs it: processes, files, kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import minireason as package
from tests.backends.remote.conftest import misbehaving
from tests.backends.remote.misbehaving import Answer, Misbehaving, chunk, refused, reply
from tests.cli.pseudo_terminal import Terminal
from tests.cli.run import COMMAND, Result, Running, assert_one_sentence, minireason
from tests.server.conftest import server, tiny_url

__all__ = ["misbehaving", "server", "tiny_url"]

TINY = ("--model", "tiny", "--threads", "1")
GREEDY = ("--temperature", "0")


def questions(count: int) -> list[dict[str, object]]:
    return [
        {"id": f"q{number}", "question": f"What is {number} + 8?", "mine": [number]}
        for number in range(1, count + 1)
    ]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "in.jsonl", questions(12))


def write(path: Path, items: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def batch(*arguments: str | Path) -> Result:
    return minireason("batch", *map(str, arguments), *TINY)


def read(path: Path) -> dict[str, Any]:
    """The replies by id, each of which is there once."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    by_id = {line["id"]: line for line in lines}
    assert len(by_id) == len(lines), "an id is there twice"
    return by_id


def answers(path: Path) -> dict[str, tuple[str, str]]:
    return {
        name: (line["reply"]["thinking"], line["reply"]["answer"])
        for name, line in read(path).items()
    }


def test_the_greedy_replies_are_those_of_ask(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    result = batch(source, "-o", out, *GREEDY)
    assert (result.code, result.out) == (0, "")
    assert f"12 replies in {out}; " in result.err
    lines = read(out)
    assert list(lines["q3"]) == ["id", "mine", "reply"]
    with package.load("tiny", n_threads=1) as reasoner:
        for item in questions(12):
            reply = reasoner.ask(str(item["question"]), temperature=0)
            got = lines[str(item["id"])]
            assert got["mine"] == item["mine"]
            assert got["reply"]["answer"] == reply.answer
            assert got["reply"]["thinking"] == reply.thinking
            assert got["reply"]["usage"]["answer_tokens"] == reply.usage.answer_tokens


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_again_and_again_nothing_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", questions(40))
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    options = ("--seed", "3", "--parallel", "2")
    assert batch(source, *options, "-o", whole).code == 0
    draw = random.Random(1)
    for _ in range(3):
        kept = torn.read_bytes() if torn.exists() else b""
        lines = kept.count(b"\n")
        run = Running("batch", str(source), "-o", str(torn), *options, *TINY)
        more = lines + draw.randint(1, 8)
        while not torn.exists() or torn.read_bytes().count(b"\n") < more:
            time.sleep(0.002)
            assert run.runs, "it was to be killed in the middle"
        run.kill()
        assert torn.read_bytes().startswith(kept), "what there was is not run again"
    with torn.open("ab") as file:
        file.write(b'{"id": "q40", "rep')  # as a power cut would leave it
    resumed = batch(source, "-o", torn, "--parallel", "2")  # the seed is the file's
    assert resumed.code == 0, resumed
    assert "of 40 replies are in" in resumed.err
    assert read(torn).keys() == read(whole).keys()
    seeds = {
        path: {name: line["reply"]["seed"] for name, line in read(path).items()}
        for path in (torn, whole)
    }
    assert seeds[torn] == seeds[whole]
    before = torn.read_bytes()
    again = batch(source, "-o", torn, *options)
    assert again.code == 0
    assert "40 replies in" in again.err
    assert torn.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to another process")
def test_ctrl_c_leaves_whole_lines_and_the_same_command_goes_on(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", questions(40)), tmp_path / "out.jsonl"
    run = Running("batch", str(source), "-o", str(out), *GREEDY, "--in-order", *TINY)
    while not out.exists() or out.read_bytes().count(b"\n") < 3:
        time.sleep(0.002)
        assert run.runs, "it was to be stopped in the middle"
    run.send_signal(signal.SIGINT)
    result = run.ended()
    assert result.code == 130
    stopped = len(read(out))
    assert f"Stopped with {stopped} replies in {out}; the same command goes on." in result.err
    assert batch(source, "-o", out, *GREEDY, "--in-order").code == 0
    assert list(read(out)) == [item["id"] for item in questions(40)]


def test_two_runs_cannot_share_an_output(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", questions(400)), tmp_path / "out.jsonl"
    run = Running("batch", str(source), "-o", str(out), *TINY)
    try:
        while not out.exists() or not out.stat().st_size:
            time.sleep(0.002)
            assert run.runs, "it was to run for a while"
        assert_one_sentence(batch(source, "-o", out), 2, "Another minireason batch is writing to")
    finally:
        run.kill()


def test_broken_lines_are_named_and_the_rest_runs(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    lines = source.read_text().splitlines()[:3]
    lines[1:1] = [
        "{broken",
        json.dumps({"id": "q1", "question": "again"}),
        json.dumps({"question": "hi", "temperature": "hot"}),
        json.dumps({"question": "1 + " * 1100}),
    ]
    source.write_text("\n".join(lines))
    result = batch(source, "-o", out, "--ctx", "2048")
    assert result.code == 7
    for said in (
        "Line 2 of in.jsonl is left out: it is no JSON.",
        "Line 3 of in.jsonl is left out: its id 'q1' is that of an earlier line.",
        "Line 4 of in.jsonl is left out: temperature='hot': has to be a number from 0 to 100.",
        "Line 5 of in.jsonl is left out: The prompt has",
        "or give a larger --ctx, up to 4096.",
        "3 replies in",
        "4 lines left out",
    ):
        assert said in result.err
    assert sorted(read(out)) == ["q1", "q2", "q3"]
    again = batch(source, "-o", out, "--ctx", "2048")
    assert again.code == 7
    assert "4 lines left out" in again.err


def test_samples_settings_of_a_line_and_replies_that_are_cut_off(tmp_path: Path) -> None:
    items: list[dict[str, object]] = [
        {"question": "What is 5 + 8?", "max_tokens": 6},
        {"question": "What is 5 + 8?", "effort": "none", "choices": ["13", "14"], "seed": 5},
    ]
    source, out = write(tmp_path / "in.jsonl", items), tmp_path / "out.jsonl"
    result = batch(source, "-o", out, "--samples", "3", "--seed", "1")
    assert result.code == 0
    assert "6 replies in" in result.err
    assert "3 of them cut off for want of tokens" in result.err
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {(line["id"], line["sample"]) for line in lines} == {
        (number, sample) for number in (1, 2) for sample in range(3)
    }
    by_choice = [line["reply"] for line in lines if line["id"] == 2]
    assert {reply["parsed"] for reply in by_choice} <= {"13", "14"}
    assert {reply["thinking_end"] for reply in by_choice} == {"skipped"}
    assert sum(reply["seed"] == 5 for reply in by_choice) == 1
    assert len({line["reply"]["seed"] for line in lines}) == 6
    with out.open("a") as more:
        more.write("no reply\n")
    fewer = batch(source, "-o", out, "--samples", "2", "--seed", "1")
    assert f"1 damaged line is left alone in {out}." in fewer.err
    assert f"\n6 replies are in {out} already." in fewer.err


def test_what_cannot_be_is_one_sentence_and_nothing_is_lost(source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    out = tmp_path / "out.jsonl"
    for arguments, said in (
        ((tmp_path / "none.jsonl", "-o", out), "cannot be read (No such file or directory)"),
        ((source, "-o", source), "is what is read; name another file with -o."),
        ((source, "-o", tmp_path / "no" / "out.jsonl"), "There is no folder"),
        ((source, "-o", tmp_path), "is no file that lines can be added to"),
        (("-", "-o", out), "none from standard input"),
        ((source, "-o", out, "--samples", "0"), "--samples 0: has to be"),
        ((source, "-o", out, "--parallel", "x"), "--parallel x: has to be"),
        ((source, "-o", out, "--thinking-budget", "5000"), "--thinking-budget 5000: the context"),
        ((source,), "Missing option '--output'"),
    ):
        assert_one_sentence(batch(*arguments), 2, said)
    assert source.read_bytes() == before
    assert not out.exists()
    assert batch(source, "-o", out, *GREEDY).code == 0
    kept = out.read_bytes()
    assert_one_sentence(batch(source, "-o", out), 2, "belongs to another run (its temperature is")
    source.write_bytes(before + b'{"question": "one more"}\n')
    changed = batch(source, "-o", out, *GREEDY)
    assert_one_sentence(changed, 2, "belongs to another run (its input was another)")
    assert out.read_bytes() == kept


@pytest.mark.slow
def test_a_reply_whose_line_could_not_be_read_again_is_left_out(tmp_path: Path) -> None:
    """It was asked for again by every run, and written again."""
    long = {"id": 1, "question": "1 + 1?", "mine": "x" * (64 * 2**20 - 100), "max_tokens": 9}
    source = write(tmp_path / "in.jsonl", [long, {"id": 2, "question": "2?", "max_tokens": 9}])
    out = tmp_path / "out.jsonl"
    for _ in range(2):
        result = batch(source, "-o", out)
        assert result.code == 7
        assert "Line 1 of in.jsonl is left out" in result.err
        assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == [2]


@pytest.mark.skipif(os.name == "nt", reason="no limits")
def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    command = [*COMMAND, "batch", str(source), "-o", str(out), *GREEDY, *TINY]
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert limited.returncode == 6, limited
    assert "The replies cannot be written to" in limited.stderr
    assert "run the same command again" in limited.stderr
    kept = out.read_bytes()
    assert 0 < len(read(out)) < 12
    assert batch(source, "-o", out, *GREEDY).code == 0
    assert out.read_bytes().startswith(kept)
    assert len(read(out)) == 12


def test_an_empty_input_makes_an_empty_output(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", []), tmp_path / "out.jsonl"
    result = batch(source, "-o", out)
    assert result.code == 0
    assert out.read_bytes() == b""


def test_on_a_terminal_a_bar_says_how_far_it_is(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", questions(60)), tmp_path / "out.jsonl"
    lines = source.read_text().splitlines()
    source.write_text("\n".join([*lines[:30], "{broken", *lines[30:]]))
    terminal = Terminal("batch", str(source), "-o", str(out), *GREEDY, *TINY)
    terminal.see("/61 ")
    terminal.see(" tokens, ")
    terminal.see("Line 31 of in.jsonl is left out: it is no JSON")
    terminal.see("60 replies in")
    assert terminal.ended() == 7
    assert not [line for line in terminal.lines if "/61 " in line], "the bar is gone"


def over(url: str, *arguments: str | Path) -> Result:
    """The same over a server."""
    return minireason("batch", *map(str, arguments), "--url", url)


def test_over_a_server_the_greedy_replies_are_those_of_this_machine(
    source: Path, tmp_path: Path, tiny_url: str
) -> None:
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    assert batch(source, "-o", here, *GREEDY).code == 0
    result = over(f"{tiny_url}/v1", source, "-o", there, *GREEDY)
    assert result.code == 0, result
    assert f"12 replies in {there}; " in result.err
    assert answers(there) == answers(here)
    run = json.loads(there.with_name("there.jsonl.run").read_text())["run"]
    assert (run["model"], run["model_sha256"]) == (f"tiny at {tiny_url}/v1", "")
    kept = there.read_bytes()
    again = over(tiny_url, source, "-o", there, *GREEDY, "--model", "tiny")
    assert again.code == 0
    assert "12 of 12 replies are in" in again.err
    elsewhere = batch(source, "-o", there, *GREEDY)
    assert_one_sentence(elsewhere, 2, "belongs to another run (its model is")
    assert there.read_bytes() == kept


def test_so_many_requests_run_at_a_time_as_were_asked_for(
    source: Path, tmp_path: Path, misbehaving: Callable[..., Misbehaving]
) -> None:
    together, lock = threading.Barrier(3, timeout=60), threading.Lock()
    running: list[int] = [0]

    def answer(_body: dict[str, Any]) -> Answer:
        with lock:
            running.append(running[-1] + 1)
        together.wait()
        with lock:
            running.append(running[-1] - 1)
        return reply(chunk(content="Yes."))

    server = misbehaving(*[answer] * 12)
    result = over(server.url, source, "-o", tmp_path / "out.jsonl", "--parallel", "3")
    assert result.code == 0, result
    assert {told for _, told in answers(tmp_path / "out.jsonl").values()} == {"Yes."}
    assert max(running) == 3


def test_a_server_that_fails_ends_the_run_and_the_same_command_goes_on(
    source: Path, tmp_path: Path, misbehaving: Callable[..., Misbehaving]
) -> None:
    out, failing = tmp_path / "out.jsonl", threading.Event()
    failing.set()

    def answer(body: dict[str, Any]) -> Answer:
        question = body["messages"][-1]["content"]
        if question == "What is 4 + 8?" and failing.is_set():
            return refused(503, "no room", Retry_After="0")
        return reply(chunk(content=question))

    server = misbehaving(*[answer] * 40)
    command = (server.url, source, "-o", out, "--parallel", "1")
    stopped = over(*command)
    assert stopped.code == 6, stopped
    assert f"Stopped with 3 replies in {out}; the same command goes on." in stopped.err
    assert "cannot answer now (status 503: no room)" in stopped.err
    kept = out.read_bytes()
    assert sorted(read(out)) == ["q1", "q2", "q3"]
    failing.clear()
    server.bodies.clear()
    assert over(*command).code == 0
    assert out.read_bytes().startswith(kept)
    assert len(server.bodies) == 9, "what there was is not asked again"
    assert {name: told for name, (_, told) in answers(out).items()} == {
        item["id"]: item["question"] for item in questions(12)
    }


def test_a_line_that_the_server_refuses_is_named_and_the_rest_runs(
    source: Path, tmp_path: Path, misbehaving: Callable[..., Misbehaving]
) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        is_refused = body["messages"][-1]["content"] == "What is 4 + 8?"
        return refused(400, "not this one") if is_refused else reply(chunk(content="Yes."))

    server = misbehaving(*[answer] * 12)
    out = tmp_path / "out.jsonl"
    result = over(server.url, source, "-o", out, "--in-order")
    assert result.code == 7, result
    assert "Line 4 of in.jsonl is left out: " in result.err
    assert "refused the request (status 400): not this one" in result.err
    assert list(read(out)) == [item["id"] for item in questions(12) if item["id"] != "q4"]


def test_where_every_line_is_refused_the_run_ends_and_the_same_command_goes_on(
    tmp_path: Path, misbehaving: Callable[..., Misbehaving]
) -> None:
    loaded = threading.Event()

    def answer(_body: dict[str, Any]) -> Answer:
        return reply(chunk(content="Yes.")) if loaded.is_set() else refused(400, "No models loaded")

    server, out = misbehaving(*[answer] * 2000), tmp_path / "out.jsonl"
    source = write(tmp_path / "in.jsonl", questions(300))
    for options in ((), ("--in-order",)):
        stopped = over(server.url, source, "-o", out, *options)
        assert_one_sentence(stopped, 2, "Every question is refused (127.0.0.1:")
        assert "No models loaded); mend that, and run the same command again." in stopped.err
        assert out.read_bytes() == b""
    assert len(server.bodies) < 300
    loaded.set()
    result = over(server.url, source, "-o", out)
    assert result.code == 0, result
    assert len(read(out)) == 300


def test_a_system_prompt_that_is_too_long_for_every_line(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", questions(300)), tmp_path / "out.jsonl"
    refused = batch(source, "-o", out, "--ctx", "512", "--system", "1 + " * 500)
    assert_one_sentence(refused, 1, "Every question is refused (The prompt has ")
    assert "or give a larger --ctx, up to 4096); mend that" in refused.err
    assert out.read_bytes() == b""


def test_a_server_that_is_none_leaves_no_output(
    source: Path, tmp_path: Path, tiny_url: str
) -> None:
    out = tmp_path / "out.jsonl"
    url = f"{tiny_url}/v1"
    assert_one_sentence(over("http://127.0.0.1:1/v1", source, "-o", out), 6, "cannot be reached")
    assert_one_sentence(over(url, source, "-o", out, "--model", "r1"), 3, "it has tiny")
    assert_one_sentence(over(url, source, "-o", out, "--ctx", "512"), 2, "has loaded the model")
    assert not out.exists()
