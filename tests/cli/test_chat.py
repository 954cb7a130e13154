"""The chat as a person has it: on a pseudo-terminal, its screen read back with pyte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.chatting import NOISE, TINY, saved
from tests.cli.pseudo_terminal import ALT_ENTER, CTRL_D, CTRL_T, CTRL_U, Terminal

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[ACDKJ]|\?(?:25|12|7|2004|1)[hl]|6n)")
"""Sequences that the chat and its input line send on purpose."""


@pytest.mark.parametrize("columns", [40, 80, pytest.param(200, marks=pytest.mark.slow)])
def test_a_turn_as_a_person_sees_it(columns: int) -> None:
    terminal = Terminal(*TINY, columns=columns)
    lines = terminal.enter("What is 5 + 8?").splitlines()
    start = lines.index("> What is 5 + 8?")
    unfold = "" if columns == 40 else " · Ctrl-T or /thinking unfolds"
    assert re.fullmatch(rf"thought for \d+ s, \d+ tokens{unfold}", lines[start + 1])
    assert lines[start + 2] == "The answer is ▌ 13 ▐."
    assert lines[start + 3].startswith("answered ")
    assert lines[start + 4 :] == ["", ">"]
    assert "51;51" not in terminal.raw
    assert "\x1b]" not in terminal.raw
    terminal.type(CTRL_T)
    terminal.see("  ones 5+8=13, so 3")
    assert terminal.ready().splitlines()[-2:] == ["", ">"], "the input line is there again"
    terminal.enter("/thinking")
    terminal.type("/exit\r")
    assert terminal.ended() == 0


def test_several_lines_undo_retry_edit_and_commands() -> None:
    terminal = Terminal(*TINY)
    terminal.ready()
    terminal.type(f"What is{ALT_ENTER}5 + 8?\r")
    terminal.see("▌ 13 ▐")
    terminal.ready()
    terminal.type("What is \\\r12 + 5?\r")
    terminal.see("▌ 17 ▐")
    terminal.ready()
    assert [turn["question"] for turn in saved()] == ["What is\n5 + 8?", "What is \n12 + 5?"]
    terminal.type("\x1b[200~What is\n1 + 2?\x1b[201~\r")
    terminal.see("▌ 3 ▐")
    terminal.enter("/retry")
    assert [turn["question"] for turn in saved()][2:] == ["What is\n1 + 2?"] * 2
    terminal.enter("/edit What is 4 + 5?")
    terminal.see("▌ 9 ▐")
    terminal.type("/undo\r")
    terminal.see("(taken back)")
    terminal.see("> What is 4 + 5?")
    terminal.type(f"{CTRL_U}/stats\r")
    terminal.see("2 turns")
    terminal.enter("/HLEP")
    terminal.see("did you mean /help?")
    terminal.enter("/context")
    terminal.see("thinking dropped")
    terminal.type(CTRL_D)
    assert terminal.ended() == 0


def test_tab_completes_commands_and_paths(tmp_path: Path) -> None:
    (tmp_path / "sums.txt").write_text("5 + 8")
    terminal = Terminal(*TINY, columns=200)
    terminal.ready()
    terminal.type("/und")
    terminal.see("take the last turn back")
    terminal.type("\t")
    terminal.see("> /undo")
    terminal.type("\r")
    terminal.see("Nothing was asked yet")
    terminal.ready()
    terminal.type(f"/file {tmp_path}/su")
    terminal.see(f"{tmp_path}/su")
    terminal.type("\t")
    terminal.see(f"{tmp_path}/sums.txt")
    terminal.type("\r")
    terminal.see("(sums.txt, 5 tokens, goes with your next question")
    terminal.ready()
    terminal.type("/e")
    terminal.see("leave")
    assert all(command in terminal.text for command in ("/effort", "/edit", "/export", "/exit")), (
        "offered without being asked for"
    )
    terminal.type("\x1b[B")
    terminal.see("> /effort")


@pytest.mark.parametrize(
    "options", [(), pytest.param(("--plain",), marks=pytest.mark.slow), ("--thinking", "show")]
)
def test_a_model_cannot_steer_the_terminal(random_path: Path, options: tuple[str, ...]) -> None:
    terminal = Terminal(
        "chat",
        "--model",
        str(random_path),
        "--seed",
        "4",
        "--max-tokens",
        "900",
        "--effort",
        "low",
        *NOISE,
        *options,
    )
    terminal.see(">")
    terminal.type("Say anything.\r")
    terminal.see("answered")
    terminal.type("/thinking\r")
    terminal.see("/thinking")
    terminal.type(CTRL_D)
    assert terminal.ended() == 0
    [turn] = saved()
    assert CONTROL.search(turn["thinking"]), "it did try"
    assert options != ("--plain",) or "\x1b" not in terminal.raw
    sent = OURS.sub("", terminal.raw).replace("\r", "")
    assert not CONTROL.search(sent.replace("\b", "")), "the input line steps back with it"
    assert not CONTROL.search(sent.partition("anything.")[2].partition("answered")[0])


def test_a_structured_answer_is_no_markdown() -> None:
    chat = Terminal(*TINY, "--effort", "none", "--regex", r"\*\*a\*\* \$b\$")
    chat.ready()
    chat.type("What?\r")
    chat.see("**a** $b$")
    chat.type(CTRL_D)
    assert chat.ended() == 0


def test_what_is_typed_ahead_waits_for_the_next_line() -> None:
    terminal = Terminal(*TINY)
    terminal.ready()
    terminal.type("What is 347 + 586?\rWhat is 5 + 8?\r")
    terminal.see("▌ 13 ▐")
    assert terminal.ready().count("What is 5 + 8?") == 1


@pytest.mark.parametrize(
    ("options", "env"),
    [(("--plain",), {}), ((), {"TERM": "dumb"}), (("--thinking", "fold"), {"TERM": "dumb"})],
)
def test_plain_and_dumb_terminals(options: tuple[str, ...], env: dict[str, str]) -> None:
    terminal = Terminal(*TINY, *options, env=env)
    terminal.see(">")
    terminal.type("What is 5 + 8?\r")
    terminal.see("The answer is \\boxed{13}.")
    terminal.see("answered")
    terminal.type("/help\r")
    terminal.see("while it thinks")
    terminal.type(CTRL_D)
    assert terminal.ended() == 0
    assert "\x1b" not in terminal.raw
