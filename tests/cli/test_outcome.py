"""How commands end: exit codes and lines for what is not whole, and for output without a place."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minireason import Reasoner, Reply
from minireason.cli import outcome
from minireason.cli.main import main
from tests.cli.pseudo_terminal import CTRL_D, Terminal
from tests.cli.run import Result, Running, minireason

TINY = ("--model", "tiny", "--threads", "1", "--temperature", "0")
SHORT = (*TINY, "--effort", "none", "--max-tokens", "3")
QUESTION = "What is 5 + 8?"
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs the command line in this process, which is quicker than one of its own."""

    def act(*arguments: str) -> Result:
        code = main(list(arguments))
        return Result(code, *capsys.readouterr())

    return act


@pytest.fixture(scope="module")
def whole(tiny: Reasoner) -> Reply:
    return tiny.ask(QUESTION, temperature=0)


@pytest.mark.parametrize(
    ("changes", "structured", "line", "code"),
    [
        ({}, False, None, 0),
        ({"finish_reason": "length"}, False, outcome.CUT_OFF, 7),
        ({"finish_reason": "length"}, True, outcome.CUT_OFF_FORM, 7),
        ({"finish_reason": "length", "answer": ""}, True, outcome.NO_ANSWER["length"], 7),
        ({"answer": " \n"}, False, outcome.NO_ANSWER["stop"], 7),
        ({"finish_reason": "cancelled"}, False, None, 130),
        ({"finish_reason": "cancelled"}, True, None, 130),
        (
            {"finish_reason": "cancelled", "answer": ""},
            False,
            outcome.NO_ANSWER["cancelled"],
            130,
        ),
        ({}, True, outcome.UNFIT, 7),
        ({"answer": "null"}, True, None, 0),
        ({"answer": "13", "parsed": 13}, True, None, 0),
    ],
)
def test_the_one_rule(
    whole: Reply, changes: dict[str, Any], structured: bool, line: str | None, code: int
) -> None:
    reply = replace(whole, **changes)
    assert outcome.missing(reply, structured=structured) == line
    assert outcome.of_reply(reply, structured=structured) == code


@pytest.mark.parametrize("as_json", [False, True])
def test_a_reply_that_is_cut_off_is_said_in_a_pipe(
    run: Callable[..., Result], as_json: bool
) -> None:
    options = ("--json",) if as_json else ()
    result = run("ask", *SHORT, *options, QUESTION)
    assert (result.code, result.err) == (7, f"minireason: {outcome.CUT_OFF}\n")
    answer = json.loads(result.out)["answer"] if as_json else result.out.strip()
    assert "The answer is".startswith(answer)
    assert answer


def test_a_thought_that_was_cut_short_is_said_in_a_pipe(run: Callable[..., Result]) -> None:
    asked = ("--thinking-budget", "20", "--thinking", "hide", "What is 4821 + 3979?")
    result = run("ask", *TINY, *asked)
    assert (result.code, result.err) == (
        0,
        "minireason: The thought was cut short by its budget.\n",
    )
    as_json = run("ask", *TINY, "--json", *asked)
    assert (as_json.err, json.loads(as_json.out)["thinking_end"]) == ("", "budget")
    assert run("ask", *TINY, "--thinking", "hide", QUESTION).err == ""


def test_a_thought_that_was_cut_short_is_said_on_a_terminal_also_later() -> None:
    said = "thought cut short by its budget"
    options = (*TINY, "--session", "talk")
    live = Terminal("chat", *options, "--thinking-budget", "20")
    live.enter("What is 4821 + 3979?")
    live.see(said)
    live.type(CTRL_D)
    assert live.ended() == 0
    again = Terminal("chat", *options)
    again.see(said)
    again.ready()
    again.type(CTRL_D)
    assert again.ended() == 0


@pytest.mark.parametrize("as_json", [False, True])
def test_a_vote_without_a_result(run: Callable[..., Result], as_json: bool) -> None:
    options = ("--json",) if as_json else ()
    result = run("solve", "-n", "2", *SHORT, "--temperature", "1", *options, QUESTION)
    assert result.code == 7
    assert "No chain ended" in result.err.replace("no chain", "No chain")
    if as_json:
        assert json.loads(result.out)["answer"] is None
        assert result.err == f"minireason: {outcome.NO_RESULT}\n"


def test_a_chat_in_a_pipe_ends_with_its_worst_reply(tmp_path: Path) -> None:
    script = f"{QUESTION}\nWhat is 12 + 5?\n".encode()
    short = minireason("chat", *SHORT, stdin=script)
    assert (short.code, short.err.count(outcome.CUT_OFF)) == (7, 2)
    long = f"{'1 + ' * 1100}\n{QUESTION}\n".encode()
    refused = minireason("chat", *TINY, stdin=long)
    assert refused.code == 7
    assert "boxed{13}" in refused.out, "and the chat went on"


def test_a_chat_on_a_terminal_ends_with_0(tmp_path: Path) -> None:
    terminal = Terminal("chat", *SHORT)
    terminal.ready()
    terminal.type(f"{QUESTION}\r")
    terminal.see("The answer was cut off")
    terminal.ready()
    terminal.type(CTRL_D)
    assert terminal.ended() == 0


def test_a_chat_in_a_pipe_that_is_interrupted_ends_with_130(smollm2_path: Path) -> None:
    chat = Running("chat", "--model", str(smollm2_path), "--threads", "1")
    chat.stdin.write(b"Write a very long story about a fox.\n")
    chat.stdin.flush()
    assert len(chat.stdout.read(20)) == 20
    chat.send_signal(signal.SIGINT)
    assert chat.ended().code == 130


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "--json", "--model", "tinny", QUESTION),
        ("ask", "--json", *TINY, "--top-p", "2", QUESTION),
        ("solve", "--json", *TINY, "-n", "0", QUESTION),
        ("eval", "--json", "no-such-set.jsonl", *TINY),
        ("pull", "--json", "r1-7bb"),
        ("show", "--json", "r1-7bb"),
        ("rm", "--json", "r1-7b"),
        ("verify", "--json", "r1-7b"),
        ("import", "--json", "no-such.gguf"),
    ],
)
def test_with_json_an_error_is_on_standard_error_only(
    run: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)
    assert (result.out, result.err.count("\n")) == ("", 1)
    assert result.err.startswith("minireason: ")
    assert result.code in (2, 3, 6)


def to_shell(
    arguments: tuple[str, ...], redirections: str, unbuffered: str = ""
) -> subprocess.CompletedProcess[str]:
    command = f'exec "$@" {redirections}'
    return subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-m", "minireason", *arguments],
        input=f"{QUESTION}\n",
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        timeout=60,
    )


@FULL
@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", *TINY, "--thinking", "hide"),
        ("ask", *TINY, "--json"),
        ("chat", *TINY, "--thinking", "hide"),
        ("--version",),
    ],
)
def test_a_full_disk_behind_standard_output_is_one_line_and_6(
    arguments: tuple[str, ...],
) -> None:
    done = Running(*arguments, out="/dev/full").ended(QUESTION.encode())
    assert (done.code, done.err.count("\n")) == (6, 1), done.err
    assert done.err.startswith("minireason: The output cannot be written (No space left")


@FULL
def test_a_full_disk_is_told_without_a_buffer_too() -> None:
    done = to_shell(("--version",), ">/dev/full", unbuffered="1")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1), done.stderr


@FULL
def test_a_full_disk_behind_standard_error_cannot_be_told_and_is_6() -> None:
    asked = QUESTION.encode()
    assert Running("ask", *TINY, err="/dev/full").ended(asked) == Result(6, "", "")
    assert to_shell(("ask", *TINY), "2>/dev/full", unbuffered="1").returncode == 6
    both = Running("ask", *TINY, out="/dev/full", err="/dev/full").ended(asked)
    assert both.code == 6


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_like_dev_null(closed: str) -> None:
    done = to_shell(("ask", *TINY, "--json"), closed)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("13" in done.stdout) == (closed == "2>&-")
