"""Keys of the chat that stop, search and leave, and a terminal that is resized under it."""

from __future__ import annotations

import re
import signal
from functools import partial
from pathlib import Path

import pytest

from minireason import Reasoner
from minireason import load as minireason_load
from minireason.cli.chat import commands
from minireason.cli.chat.acts.thinking import show_thinking
from minireason.cli.chat.loop import Chat
from minireason.cli.terminal.thinking import Thinking
from tests.cli.chatting import NOISE, SPINNER, STORY, TINY, end_noise, saved, writing
from tests.cli.pseudo_terminal import CTRL_C, CTRL_R, CTRL_Z, Terminal


def shows_more_often(terminal: Terminal, text: str, times: int) -> bool:
    return terminal.text.count(text) > times


def spins(terminal: Terminal, since: int) -> bool:
    """Whether the spinner was drawn more than once after so many characters."""
    return len(SPINNER.findall(terminal.raw, since)) > 1


def tells_more(terminal: Terminal, words: int) -> bool:
    """Whether the answer to STORY has more words than that."""
    return len(terminal.text.partition(STORY)[2].split()) > words


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
        terminal.until(partial(spins, terminal, drawn))
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
        terminal.until(partial(tells_more, terminal, words))
        terminal.resize(columns)
    terminal.see("answered")
    shown = terminal.ready().partition(STORY)[2].partition("answered")[0]
    assert "".join(shown.split()) == "".join(saved()[0]["answer"].split()), (
        "each word once; the terminal itself wraps within words"
    )
