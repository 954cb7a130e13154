from __future__ import annotations

import json
import os
import signal
from dataclasses import fields, replace
from pathlib import Path

import pytest

from minireason import Solution
from minireason.cli.main import main
from minireason.models import catalog
from tests.cli.pseudo_terminal import Terminal
from tests.cli.run import Running, assert_one_sentence, minireason

TINY = ("solve", "--model", "tiny", "--threads", "1", "--seed", "1")
QUESTION = "What is 9 * 13?"


def test_the_answer_alone_on_standard_output() -> None:
    result = minireason(*TINY, "--parallel", "4", "--stop", "beta", QUESTION)
    assert (result.code, result.out) == (0, "117\n")
    assert "chain 1: 117 (" in result.err
    assert "4 (100%)  117" in result.err
    assert "of 8 chains, 4 at a time" in result.err
    assert "\x1b" not in result.err


def test_json_is_one_object() -> None:
    result = minireason(*TINY, "--json", "-n", "8", QUESTION)
    assert result.err == ""
    solution = json.loads(result.out)
    assert list(solution) == [field.name for field in fields(Solution)]
    assert solution["answer"] == "117"
    assert solution["stopped_because"] in ("lead", "all_done"), "as many at a time as pay here"
    assert len(solution["chains"]) <= 8
    assert (
        solution["tokens"]["total"]
        == solution["tokens"]["prompt"] + solution["tokens"]["generated"]
    )


def test_a_models_own_settings_hold_unless_the_user_types_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = replace(catalog.find("tiny")[0], sampling={"temperature": 1.0})
    monkeypatch.setattr(catalog, "load", lambda: (spec,))
    command = [*TINY, "-n", "2", "--stop", "none", "--json", "What is 5 + 8?"]
    for typed, temperature in (([], 1.0), (["--temperature", "0.5"], 0.5)):
        assert main([*command, *typed]) == 0
        chains = json.loads(capsys.readouterr().out)["chains"]
        assert [chain["temperature"] for chain in chains] == [temperature] * 2


def test_show_chains() -> None:
    result = minireason(*TINY, "--show-chains", "-n", "2", "What is 5 + 8?")
    assert result.out == "13\n"
    assert result.err.count("5 + 8\n") == 2


def test_chains_shown_on_a_terminal_stand_by_themselves() -> None:
    terminal = Terminal(
        *TINY, "--show-chains", "-n", "4", "--parallel", "2", "--stop", "none", QUESTION, rows=150
    )
    terminal.see("seed 1")
    shown = [
        line
        for line in terminal.lines
        if "chain " in line or "thinking" in line or "answering" in line
    ]
    assert sum(line.startswith("chain ") for line in shown) == 4, shown
    assert len(shown) == 4, "nothing of the live table is left"


def test_no_answer_is_said() -> None:
    result = minireason(*TINY, "-n", "2", "--max-tokens", "3", QUESTION)
    assert (result.code, result.out) == (7, "")
    assert "there was no vote" in result.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("-n", "0", "hi"), "--samples 0"),
        (("--parallel", "0", "hi"), "--parallel 0"),
        (("--parallel", "many", "hi"), "whole number or auto"),
        (("--stop", "never", "hi"), "none, lead, beta"),
        (("--budget-tokens", "0", "hi"), "--budget-tokens 0"),
        ((), "no question"),
    ],
)
def test_bad_input_is_one_sentence(arguments: tuple[str, ...], part: str) -> None:
    assert_one_sentence(minireason(*TINY, *arguments), 2, part)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a process alone")
def test_ctrl_c_shows_the_vote_so_far(smollm2_path: Path) -> None:
    options = (
        "--threads",
        "1",
        "--parallel",
        "2",
        "--stop",
        "none",
        "-n",
        "50",
        "--max-tokens",
        "60",
    )
    vote = Running("solve", "--model", str(smollm2_path), *options, "Tell me a long story.")
    vote.stdin.close()
    assert vote.stderr.readline().startswith(b"chain "), "the first one has ended"
    vote.send_signal(signal.SIGINT)
    result = vote.ended()
    assert result.code == 130
    assert "stopped by you" in result.err
    assert "Traceback" not in result.err
