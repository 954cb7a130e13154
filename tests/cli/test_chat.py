"""The chat as a person has it: on a pseudo-terminal, its screen read back with pyte."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from minireason import Reasoner, transcript
from minireason import load as minireason_load
from minireason.cli import render
from minireason.cli.chat.loop import Chat
from tests.cli.run import minireason

pexpect = pytest.importorskip("pexpect")
pyte = pytest.importorskip("pyte")

TINY = ("chat", "--model", "tiny", "--threads", "1", "--temperature", "0")
CTRL_C, ALT_ENTER, CTRL_D = "\x03", "\x1b\r", "\x04"


class Terminal:
    """A chat in a terminal of this size."""

    def __init__(self, *arguments: str, columns: int = 80, rows: int = 30, **env: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.raw = ""
        environment = os.environ | {"TERM": "xterm-256color"} | env
        command = ["-m", "minireason", *arguments]
        self.child = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=60, dimensions=(rows, columns), env=environment)

    def see(self, text: str, seconds: float = 60) -> str:
        """Read on until the screen shows a text; the screen."""
        until = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < until, f"no {text!r} on the screen:\n{self.text}"
            self.read()
        return self.text

    def read(self) -> None:
        try:
            out = self.child.read_nonblocking(65536, 0.05)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            time.sleep(0.05)
            return
        self.raw += out
        self._stream.feed(out)
        if "\x1b[6n" in out:  # where the cursor is, as a terminal answers
            self.child.send(f"\x1b[{self.screen.cursor.y + 1};{self.screen.cursor.x + 1}R")

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def type(self, keys: str) -> None:
        self.child.send(keys)

    def ready(self) -> str:
        """Read on until there is an input line to type in; the screen."""
        until = time.monotonic() + 60
        while self.text.splitlines()[-1:] not in (["> "], [">"]):
            assert time.monotonic() < until, self.text
            self.read()
        return self.text

    def ended(self) -> int | None:
        until = time.monotonic() + 30
        while self.child.isalive() and time.monotonic() < until:
            self.read()
        self.child.close()
        return self.child.exitstatus  # type: ignore[no-any-return]


def saved() -> list[dict[str, Any]]:
    [path] = transcript.listed()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_turn_as_a_person_sees_it(columns: int) -> None:
    terminal = Terminal(*TINY, columns=columns)
    terminal.ready()
    terminal.type("What is 5 + 8?\r")
    terminal.see("answered")
    lines = terminal.ready().splitlines()
    start = lines.index("> What is 5 + 8?")
    assert re.match(r"thought for \d+ s, 49 tokens", lines[start + 1])
    assert "The answer is ▌ 13 ▐." in lines[start + 2 : start + 4]
    assert "ones" not in terminal.text, "the thought is folded"
    assert "51;51" not in terminal.raw
    assert "\x1b]" not in terminal.raw
    terminal.type("/thinking\r")
    terminal.see("ones 5+8=13, so 3")
    terminal.type("/exit\r")
    assert terminal.ended() == 0


def test_several_lines_undo_retry_edit_and_commands() -> None:
    terminal = Terminal(*TINY)
    terminal.ready()
    terminal.type(f"What is{ALT_ENTER}5 + 8?\r")
    terminal.see("13")
    terminal.ready()
    terminal.type("What is \\\r12 + 5?\r")
    terminal.see("17")
    terminal.ready()
    assert [step["turn"]["question"] for step in saved() if "turn" in step] == ["What is\n5 + 8?", "What is \n12 + 5?"]
    terminal.type("\x1b[200~What is\n1 + 2?\x1b[201~\r")
    terminal.see("▌ 3 ▐")
    terminal.ready()
    terminal.type("/retry\r")
    terminal.see("▌ 3 ▐", 10)
    terminal.ready()
    terminal.type("/edit What is 4 + 5?\r")
    terminal.see("▌ 9 ▐")
    terminal.ready()
    terminal.type("/undo\r")
    terminal.see("(taken back)")
    terminal.see("> What is 4 + 5?")
    terminal.type("\x15/stats\r")
    terminal.see("2 turns")
    terminal.type("/nonsense\r")
    terminal.see("no command /nonsense")
    terminal.type("/context\r")
    terminal.see("thinking dropped")
    terminal.type(CTRL_D)
    assert terminal.ended() == 0


class Presses(render.Thinking):
    """Somebody who presses Ctrl-C as soon as there is a thought."""

    def write(self, text: str) -> None:
        if text and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)

    pressed = False


def test_ctrl_c_in_a_thought_asks_for_the_answer(tiny: Reasoner) -> None:
    state = Chat(tiny, tiny.chat(), {"temperature": 0}, minireason_load, Presses("hide"), "show")
    state.ask("What is 347 + 586?")
    [turn] = state.session.turns
    assert (turn.thinking_end, turn.finish_reason) == ("user", "stop")
    assert turn.answer.startswith("The answer is")
    assert len(turn.thinking) < 100


def test_ctrl_c_in_an_answer_stops_and_keeps_it_and_twice_leaves(smollm2_path: Path) -> None:
    terminal = Terminal("chat", "--model", str(smollm2_path), NO_COLOR="1")
    terminal.ready()
    terminal.type("Write a very long story about a fox and never stop.\r")
    until = time.monotonic() + 60
    while len(terminal.text.splitlines()) < 4:
        assert time.monotonic() < until
        terminal.read()
    terminal.type(CTRL_C)
    terminal.see("stopped by you")
    terminal.ready()
    [turn] = [step["turn"] for step in saved() if "turn" in step]
    assert turn["finish_reason"] == "cancelled"
    assert turn["answer"]
    assert "\x1b[3" not in terminal.raw.replace("\x1b[3m", ""), "no colours"
    terminal.type(CTRL_C)
    terminal.see("once more")
    terminal.type(CTRL_C)
    assert terminal.ended() == 0


def test_what_was_killed_in_an_answer_goes_on(smollm2_path: Path) -> None:
    terminal = Terminal("chat", "--model", str(smollm2_path), "--session", "story")
    terminal.ready()
    terminal.type("Write a very long story about a fox and never stop.\r")
    path = transcript.path_of("story")
    until = time.monotonic() + 60
    while not (path.exists() and '"thinking": ""' in path.read_text()):
        assert time.monotonic() < until
        terminal.read()
    terminal.child.kill(signal.SIGKILL)
    terminal.child.wait()
    again = Terminal("chat", "--model", "tiny", "--temperature", "0", "--continue")
    again.see("cut off; what had been saved of it is kept")
    again.ready()
    again.type("What is 5 + 8?\r")
    again.see("answered")
    again.ready()
    again.child.kill(signal.SIGHUP)
    again.ended()
    turns = transcript.read(path).history.turns
    assert [turn.finish_reason for turn in turns] == ["interrupted", "stop"]
    assert turns[0].answer
    assert "story" in minireason("sessions").out


def test_a_closed_terminal_saves_what_there_is(smollm2_path: Path) -> None:
    terminal = Terminal("chat", "--model", str(smollm2_path), "--session", "hung up")
    terminal.ready()
    terminal.type("Write a very long story about a fox and never stop.\r")
    until = time.monotonic() + 60
    while len(terminal.text.splitlines()) < 4:
        assert time.monotonic() < until
        terminal.read()
    terminal.child.close(force=False)  # the terminal goes, SIGHUP comes
    path = transcript.path_of("hung up")
    while not transcript.read(path).history.turns:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert transcript.read(path).history.turns[0].answer


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


def test_a_forged_session_steers_nothing() -> None:
    evil = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb\x1b]8;;http://x\x1b\\ [link](http://evil)"
    path = transcript.path_of("evil")
    path.parent.mkdir(parents=True)
    turn = {"turn": {"question": evil, "answer": evil, "thinking": evil, "model": evil, "at": evil}}
    path.write_text("\n".join(['{"minireason_session": 1}', json.dumps(turn), ""]))
    terminal = Terminal(*TINY, "--session", "evil")
    terminal.ready()
    terminal.type("/thinking\r")
    terminal.see("␛]0;title␇")
    terminal.type("/sessions\r")
    terminal.ready()
    assert "\x1b]" not in terminal.raw
    assert "\x9b" not in terminal.raw
    assert "\u202e" not in terminal.raw
    terminal.type("/exit\r")
    assert terminal.ended() == 0


def test_plain_and_dumb_terminals() -> None:
    for options, env in ((("--plain",), {}), ((), {"TERM": "dumb"})):
        terminal = Terminal(*TINY, *options, **env)
        terminal.see(">")
        terminal.type("What is 5 + 8?\r")
        terminal.see("The answer is")
        terminal.type(CTRL_D)
        assert terminal.ended() == 0
        assert "\x1b[A" not in terminal.raw


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("/load nowhere", "There is no session"),
        ("/load ../x", "There is no session"),
        ("/file", "takes the path"),
        ("/file /no/such", "There is no file"),
        ("/file /", "is a directory"),
        ("/file {tiny}", "not a text file"),
        ("/file {large}", "tokens and does not fit"),
        ("/model r1-7b", "It goes on with tiny"),
        ("/effort extreme", "effort='extreme'"),
        ("/budget many", "number of tokens"),
        ("/copy", "no answer to copy"),
        ("/undo", "Nothing was asked"),
        ("/retry", "Nothing was asked"),
        ("/edit", "Nothing was asked"),
        ("/export /no/such/dir.md", "cannot be written"),
    ],
)
def test_commands_that_cannot_be_done_say_why(line: str, part: str, tiny_path: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    if "large" in line:
        large.write_text("0123456789\n" * 5_000_000)
    result = minireason(*TINY, "--thinking", "hide", stdin=(line.format(tiny=tiny_path, large=large) + "\nWhat is 5 + 8?\n").encode())
    assert (result.code, result.out) == (0, "The answer is \\boxed{13}.\n"), "and the chat goes on"
    assert part in result.err
    assert "Traceback" not in result.err


def test_files_exports_and_names(tmp_path: Path) -> None:
    source = tmp_path / "sum.txt"
    source.write_text("5 + 8\n")
    script = f"/file {source}\nWhat is 5 + 8?\n/export {tmp_path}/talk.md\n/export {tmp_path}/talk.json\n/save sums\n/sessions\n"
    result = minireason(*TINY, "--thinking", "hide", stdin=script.encode())
    assert "goes with your next question" in result.err
    assert "sums\t1" in result.out
    talk = json.loads((tmp_path / "talk.json").read_text())
    assert talk["turns"][0]["question"] == "What is 5 + 8?\n\nsum.txt:\n```\n5 + 8\n\n```"
    assert "<details>" in (tmp_path / "talk.md").read_text()
    assert minireason(*TINY, "--continue", "--session", "x").code == 2


def test_nothing_to_continue() -> None:
    result = minireason(*TINY, "--continue")
    assert result.code == 1
    assert "no session yet" in result.err
    assert "no sessions yet" in minireason("sessions").err
