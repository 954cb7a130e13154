"""The chat as a person has it: on a pseudo-terminal, its screen read back with pyte."""

from __future__ import annotations

import json
import re
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from minireason import Reasoner
from minireason import load as minireason_load
from minireason.cli.chat import commands
from minireason.cli.chat.acts.thinking import show_thinking
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal.thinking import Thinking
from minireason.conversation import transcript
from tests.cli.pseudo_terminal import (
    ALT_ENTER,
    CTRL_C,
    CTRL_D,
    CTRL_R,
    CTRL_T,
    CTRL_U,
    CTRL_Z,
    Terminal,
)

TINY = ("chat", "--model", "tiny", "--threads", "1", "--temperature", "0")
STORY = "Tell a long story of a fox."
NOISE = ("--temperature", "5", "--top-p", "1", "--no-loop-check")
"""Of a model with random weights."""
SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] [a-z]+ [0-9]+ s")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
OURS = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[ACDKJ]|\?(?:25|12|7|2004|1)[hl]|6n)")
"""Sequences that the chat and its input line send on purpose."""


def writing(terminal: Terminal) -> None:
    """Wait until the answer to STORY has begun."""

    def begun() -> bool:
        shown = terminal.text.partition(STORY)[2]
        return len(shown) > 20 and "Ctrl-C" not in shown

    terminal.until(begun)


def end_noise(terminal: Terminal) -> None:
    """Land an endless thought of noise, and stop the answer, which has no end either."""
    terminal.type(CTRL_C)
    terminal.until(lambda: len(terminal.text.partition("thought for")[2]) > 200)
    terminal.type(CTRL_C)
    terminal.see("answered")


def shows_more_often(terminal: Terminal, text: str, times: int) -> bool:
    return terminal.text.count(text) > times


def saved() -> list[dict[str, Any]]:
    """The turns in the file of the only session."""
    [path] = transcript.listed()
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    return [step["turn"] for step in steps if "turn" in step]


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


def test_ctrl_c_clears_a_line_and_leaves_twice_on_an_empty_one() -> None:
    terminal = Terminal(*TINY)
    terminal.ready()
    terminal.type("What is 5 + 8?")
    terminal.see("8?")
    terminal.type(CTRL_C)
    terminal.until(lambda: "8?" not in terminal.text)
    assert "once more" not in terminal.text
    terminal.type("\x1b[A")
    terminal.see("> What is 5 + 8?")
    terminal.type(f"{CTRL_C}{CTRL_C}")
    terminal.see("once more")
    terminal.type(CTRL_C)
    assert terminal.ended() == 0


def test_ctrl_r_searches_and_its_ctrl_c_and_enter_are_its_own() -> None:
    terminal = Terminal(*TINY)
    terminal.enter("What is 5 + 8?")
    terminal.type(f"{CTRL_R}is 5")
    terminal.see("I-search")
    terminal.type(CTRL_C)
    terminal.until(lambda: "I-search" not in terminal.text)
    assert "once more" not in terminal.text
    assert terminal.ready()
    terminal.type(f"{CTRL_R}is 5")
    terminal.see("I-search backward: is 5")
    terminal.type("\r")
    terminal.until(lambda: terminal.lines[-1] == "> What is 5 + 8?")
    terminal.type("\r")
    terminal.until(lambda: terminal.text.count("answered") == 2)
    assert [turn["question"] for turn in saved()] == ["What is 5 + 8?"] * 2


def test_ctrl_z_in_a_reply_gives_the_shell_its_terminal(slow_path: Path) -> None:
    options = ("--seed", "1", "--threads", "1", *NOISE)
    terminal = Terminal("chat", "--model", str(slow_path), *options, in_shell=True)
    terminal.see("/help")
    terminal.ready()
    terminal.type("Think.\r")
    terminal.see("thinking")
    for number in range(2):
        stopped = partial(shows_more_often, terminal, "Stopped", number)
        terminal.type(CTRL_Z)
        terminal.until(stopped)
        assert not SPINNER.search(terminal.text), "taken away before the shell went on"
        terminal.type(f"echo here-{number}{number}\r")
        terminal.see(f"\nhere-{number}{number}\n")
        before = terminal.lines
        terminal.type("fg\r")
        terminal.until(lambda: SPINNER.search(terminal.text))
        assert terminal.lines[: len(before) - 1] == before[:-1], "nothing was written over"
    end_noise(terminal)
    terminal.type("/exit\r")
    terminal.until(lambda: terminal.lines[-1:] == ["$"])


class Presses(Thinking):
    """Somebody who presses Ctrl-C as soon as there is a thought."""

    pressed = False

    def write(self, text: str) -> None:
        if text and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


class PressesTwice(Thinking):
    """Somebody who presses Ctrl-C at each of the first two pieces, and so stops the reply."""

    presses = 2

    def write(self, text: str) -> None:
        super().write(text)
        if self.presses:
            self.presses -= 1
            signal.raise_signal(signal.SIGINT)


def test_the_thought_of_a_stopped_reply_can_be_seen(
    tiny: Reasoner, capsys: pytest.CaptureFixture[str]
) -> None:
    state = Chat(tiny, tiny.chat(), {"temperature": 0}, minireason_load, "tiny", "hide")
    state.ask("What is 5 + 8?")
    state.thoughts = PressesTwice("hide")
    state.ask("What is 347 + 586?")
    capsys.readouterr()
    show_thinking(state)
    stopped = capsys.readouterr().err
    assert "I have to answer now" in stopped
    assert "5 + 8" not in stopped
    commands.handle(state, "/undo")
    capsys.readouterr()
    show_thinking(state)
    assert "5 + 8" in capsys.readouterr().err, "that of the turn which is the last again"
    commands.handle(state, "/clear")
    show_thinking(state)
    assert "no thought" in capsys.readouterr().err


def test_ctrl_c_in_a_thought_asks_for_the_answer(tiny: Reasoner) -> None:
    state = Chat(tiny, tiny.chat(), {"temperature": 0}, minireason_load, "tiny", "stderr")
    state.thoughts = Presses("hide")
    state.ask("What is 347 + 586?")
    [turn] = state.session.turns
    assert (turn.thinking_end, turn.finish_reason) == ("user", "stop")
    assert turn.answer.startswith("The answer is")
    assert len(turn.thinking) < 100


def test_a_long_thought_survives_resizes_and_is_ended_by_ctrl_c(slow_path: Path) -> None:
    terminal = Terminal("chat", "--model", str(slow_path), "--seed", "1", "--threads", "1", *NOISE)
    terminal.ready()
    terminal.type("Think.\r")
    terminal.see("thinking")
    for columns in (50, 100, 40):
        terminal.resize(columns)
        drawn = len(terminal.raw)
        terminal.until(lambda drawn=drawn: len(SPINNER.findall(terminal.raw, drawn)) > 1)  # type: ignore[misc]
        lines = terminal.lines
        assert len(lines) - lines.index("> Think.") <= 5, (
            "three lines of the thought and one of facts, and nothing stale"
        )
        assert len(SPINNER.findall(terminal.text)) == 1
    end_noise(terminal)
    assert re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] landing … · Ctrl-C: stop", terminal.raw), "it was heard"
    terminal.ready()
    [turn] = saved()
    assert turn["thinking_end"] == "user"
    assert turn["answer"]
    assert "Ctrl-C: answer now" not in terminal.text


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


def test_ctrl_c_in_an_answer_stops_and_keeps_it(smollm2_path: Path) -> None:
    terminal = Terminal("chat", "--model", str(smollm2_path), env={"NO_COLOR": "1"})
    terminal.ready()
    terminal.type(f"{STORY}\r")
    writing(terminal)
    terminal.type(CTRL_C)
    terminal.see("stopped by you")
    terminal.ready()
    [turn] = saved()
    assert turn["finish_reason"] == "cancelled"
    assert turn["answer"]
    assert not re.search(r"\x1b\[[0-9;]*[34][0-7][;m]", terminal.raw), "no colours"


@pytest.mark.parametrize(
    ("wraps_again", "widths"),
    [(True, (50, 100, 60)), pytest.param(False, (50, 100), marks=pytest.mark.slow)],
)
def test_an_answer_survives_resizes(
    smollm2_path: Path, wraps_again: bool, widths: tuple[int, ...]
) -> None:
    """A terminal that cuts its lines also cuts the paragraphs that are finished.

    So there only the first becomes narrower.
    """
    options = ("--temperature", "0", "--max-tokens", "90")
    env = {} if wraps_again else {"TERM": "linux"}
    terminal = Terminal(
        "chat", "--model", str(smollm2_path), *options, rows=60, wraps_again=wraps_again, env=env
    )
    terminal.ready()
    terminal.type(f"{STORY}\r")
    writing(terminal)
    for columns, words in zip(widths, (10, 30, 50), strict=False):
        terminal.until(lambda words=words: len(terminal.text.partition(STORY)[2].split()) > words)  # type: ignore[misc]
        terminal.resize(columns)
    terminal.see("answered")
    shown = terminal.ready().partition(STORY)[2].partition("answered")[0]
    assert "".join(shown.split()) == "".join(saved()[0]["answer"].split()), (
        "each word once; the terminal itself wraps within words"
    )


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
