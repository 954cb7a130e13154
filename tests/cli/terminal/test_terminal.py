"""The command line on a real pseudo-terminal, its screen read back with pyte."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from tests.cli.pseudo_terminal import Spawned, Terminal
from tests.cli.run import COMMAND, minireason

pexpect = pytest.importorskip("pexpect")
pyte = pytest.importorskip("pyte")


def spawn(*arguments: str) -> Spawned:
    environment = os.environ | {"TERM": "xterm-256color"}
    return Spawned(arguments, encoding="utf-8", timeout=60, dimensions=(40, 100), env=environment)


def screen(output: str) -> str:
    terminal = pyte.Screen(100, 40)
    pyte.Stream(terminal).feed(output)
    return "\n".join(line.rstrip() for line in terminal.display).strip()


def test_ask_shows_thinking_answer_and_facts() -> None:
    child = spawn(
        "ask", "--model", "tiny", "--threads", "1", "--temperature", "0", "What is 5 + 8?"
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    raw = child.before
    assert "\x1b[2m" in raw, "the thinking is dim"
    lines = screen(raw).splitlines()
    assert lines[0] == "5 + 8"
    assert "The answer is ▌ 13 ▐." in lines
    assert lines[-1].startswith("thought ")
    assert "tokens/s" in lines[-1]
    assert not any("loading" in line for line in lines), "the progress line is gone"


def test_a_structured_answer_is_no_markdown() -> None:
    child = spawn(
        "ask",
        "--model",
        "tiny",
        "--threads",
        "1",
        "--effort",
        "none",
        "--regex",
        r"\*\*a\*\* \$b\$",
        "What?",
    )
    child.expect(pexpect.EOF)
    child.close()
    assert screen(child.before).splitlines()[0] == "**a** $b$"


@pytest.mark.parametrize("columns", [30, 60, 80])
def test_what_is_shown_of_a_model_breaks_no_word(columns: int) -> None:
    terminal = Terminal("show", "r1-1.5b", columns=columns, rows=100)
    assert terminal.ended() == 0
    words = minireason("show", "r1-1.5b").out.split()
    assert len(words) > 50
    shown = terminal.text.split()
    assert all(word in shown for word in words if len(word) <= columns - 4)


@pytest.mark.parametrize("columns", [60, 80])
def test_the_doctor_breaks_no_flag(columns: int) -> None:
    terminal = Terminal("doctor", columns=columns, rows=60)
    assert terminal.ended() == 0
    [flags] = re.findall("llama-cpp-python .*", minireason("doctor").out)
    for flag in re.findall(r"\w+ = \d", flags):
        assert any(flag in line for line in terminal.lines)


@pytest.mark.parametrize(
    ("arguments", "once"),
    [
        (("ask", "What is 5 + 8?"), ["5+8=13", "The answer"]),
        (("solve", "-n", "8", "--parallel", "2", "--stop", "none", "What is 5 + 8?"), ["(100%)"]),
        (("models",), ["r1-70b", "tiny"]),
        (("doctor",), ["built-in", "network"]),
    ],
)
def test_on_a_small_terminal_nothing_is_shown_twice(
    arguments: tuple[str, ...], once: list[str]
) -> None:
    options = ("--model", "tiny", "--threads", "1", "--temperature", "0")
    command, *rest = arguments
    terminal = Terminal(command, *(options if rest else ()), *rest, columns=30, rows=5)
    assert terminal.ended() == 0
    shown = "\n".join([*terminal.screen.gone, terminal.text])
    assert [shown.count(text) for text in once] == [1] * len(once)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_chat_reads_turns_from_a_pipe(locale: str) -> None:
    script = b"What is 5 + 8?\n\xff\nWhat is 13 + 4?\n"
    done = subprocess.run(
        [
            *COMMAND,
            "chat",
            "--model",
            "tiny",
            "--threads",
            "1",
            "--temperature",
            "0",
            "--thinking",
            "hide",
        ],
        input=script,
        capture_output=True,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("LC_")}
        | {"LANG": locale},
    )
    assert done.stdout.decode() == "The answer is \\boxed{13}.\nThe answer is \\boxed{17}.\n"
    assert b"not UTF-8" in done.stderr
