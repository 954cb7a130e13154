"""The slash commands, through a pipe where no terminal is needed."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

import minireason
from minireason import Reasoner
from minireason.cli.chat import commands
from minireason.cli.chat.loop import Chat
from minireason.conversation import transcript
from tests.cli.chatting import TINY, completions
from tests.cli.pseudo_terminal import Terminal
from tests.cli.run import Result
from tests.cli.run import minireason as run

REFUSED = {
    "/load nowhere": "There is no session",
    "/load ../x": "'../x' cannot be the name of a session",
    "/load ../x.jsonl": "There is no session",
    "/save a/b": "'a/b' cannot be the name of a session",
    "/export": "There is nothing to export yet",
    "/file": "takes the path",
    "/file /no/such": "There is no file",
    "/file /": "is a directory",
    "/file {tiny}": "not a text file",
    "/file {large}": "tokens and does not fit",
    "/model r1-7b": "r1-7b is not installed",
    "/model {large}": "It goes on with tiny",
    "/effort extreme": "/effort extreme: has to be one of none, low, medium, high, max.",
    "/budget many": "number of tokens",
    "/copy": "no answer to copy",
    "/undo": "Nothing was asked",
    "/retry": "Nothing was asked",
    "/edit": "Nothing was asked",
}


def test_commands_that_cannot_be_done_say_why(tiny_path: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    large.write_text("0123456789\n" * 5_000_000)
    script = "\n".join([*REFUSED, "What is 5 + 8?", ""]).format(tiny=tiny_path, large=large)
    result = run(*TINY, "--thinking", "hide", stdin=script.encode())
    assert (result.code, result.out) == (0, "The answer is \\boxed{13}.\n"), "and the chat goes on"
    for (line, part), said in zip(REFUSED.items(), complaints(result), strict=True):
        assert part in said, line


def complaints(result: Result) -> list[str]:
    """What a chat refused, with what it said after each, in order."""
    assert "Traceback" not in result.err
    return result.err.split("minireason: ")[1:]


def test_another_model_and_back(smollm2_path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    script = (
        f"What is 5 + 8?\n/model {smollm2_path}\nSay yes.\n/model {broken}\n/model nonsense\n"
        "Say no.\n/model tiny\nWhat is 1 + 2?\n/model\n"
    )
    result = run(*TINY, "--max-tokens", "200", "--session", "talk", stdin=script.encode())
    assert result.code == 0
    assert result.out.startswith("The answer is \\boxed{13}.\n")
    assert result.out.endswith("The answer is \\boxed{3}.\n")
    assert f"It goes on with {smollm2_path.name}." in result.err
    assert "no model named 'nonsense'" in result.err
    assert "tiny; installed: tiny" in result.err
    turns = transcript.read(transcript.path_of("talk")).history.turns
    assert [turn.model for turn in turns] == ["tiny", smollm2_path.name, smollm2_path.name, "tiny"]


def test_a_switch_that_is_interrupted_goes_on_with_the_model_before(
    smollm2_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(name: str) -> Reasoner:
        if name != "tiny":
            raise KeyboardInterrupt
        return minireason.load("tiny", n_threads=1)

    chat = Chat(
        reasoner := opened("tiny"), reasoner.chat(), {"temperature": 0}, opened, "tiny", "hide"
    )
    assert not commands.handle(chat, f"/model {smollm2_path}")
    assert "Interrupted. It goes on with tiny." in capsys.readouterr().err
    chat.ask("What is 5 + 8?")
    assert chat.session.turns[0].answer == "The answer is \\boxed{13}."
    chat.reasoner.close()


def test_what_ollama_calls_help_and_leaving() -> None:
    result = run(*TINY, stdin=b"/?\n/bye\nWhat is 5 + 8?\n")
    assert (result.code, result.out) == (0, "")
    assert "/effort [LEVEL]" in result.err


def test_copying_an_answer_and_a_block_of_code() -> None:
    answer = "Two:\n\n```python\nprint(1)\n```\n\nand\n\n~~~\nécho 2\n~~~\n"
    path = transcript.path_of("code")
    path.parent.mkdir(parents=True)
    path.write_text(
        "\n".join(
            [
                '{"minireason_session": 1}',
                json.dumps({"turn": {"question": "q", "answer": answer}}),
                "",
            ]
        )
    )
    terminal = Terminal(*TINY, "--session", "code", env={"PATH": ""})
    for command, text in (("/copy", answer), ("/copy 1", "print(1)\n"), ("/copy 2", "écho 2\n")):
        terminal.enter(command)
        assert f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07" in terminal.raw
        assert f"(copied {len(text)} characters to the terminal's clipboard" in terminal.text
    terminal.enter("/copy 3")
    terminal.see("answer has 2.")


def test_copying_by_a_program_where_there_is_no_terminal(tmp_path: Path) -> None:
    program = tmp_path / "xclip"
    program.write_text(f"#!/bin/sh\n/bin/cat > {tmp_path}/copied\n")
    program.chmod(0o755)
    result = run(
        *TINY, "--thinking", "hide", stdin=b"What is 5 + 8?\n/copy\n", env={"PATH": str(tmp_path)}
    )
    assert "(copied 25 characters to the clipboard by xclip)" in result.err
    assert (tmp_path / "copied").read_text() == "The answer is \\boxed{13}."
    assert "\x1b" not in result.out
    nowhere = run(*TINY, "--thinking", "hide", stdin=b"What is 5 + 8?\n/copy\n", env={"PATH": ""})
    assert "There is no clipboard here" in nowhere.err


def test_a_file_waits_for_a_new_question_while_the_last_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("47 * 86")
    script = (
        f"What is 5 + 8?\n/file {tmp_path}/note.txt\n/retry\nWhat is this?\n"
        f"/export {tmp_path}/talk.json\n"
    )
    result = run(*TINY, "--thinking", "hide", stdin=script.encode())
    assert (result.code, result.out.count("13")) == (0, 2)
    questions = [
        turn["question"] for turn in json.loads((tmp_path / "talk.json").read_text())["turns"]
    ]
    assert questions == ["What is 5 + 8?", "What is this?\n\nnote.txt:\n```\n47 * 86\n```"]


def test_files_exports_and_names(tmp_path: Path) -> None:
    source = tmp_path / "sum.txt"
    source.write_text("5 + 8\n")
    script = (
        f"/file {source}\nWhat is 5 + 8?\n/export {tmp_path}/talk.md\n"
        f"/export {tmp_path}/talk.json\n/save sums\n/sessions\n"
    )
    result = run(*TINY, "--thinking", "hide", stdin=script.encode())
    assert "goes with your next question" in result.err
    assert "sums\t1" in result.err
    talk = json.loads((tmp_path / "talk.json").read_text())
    assert talk["turns"][0]["question"] == "What is 5 + 8?\n\nsum.txt:\n```\n5 + 8\n\n```"
    assert "<details>" in (tmp_path / "talk.md").read_text()
    assert run(*TINY, "--continue", "--session", "x").code == 2


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("/e", ["/effort", "/edit", "/export", "/exit"]),
        ("/model ", ["tiny"]),
        ("/model /et", ["c"]),
        ("/effort m", ["medium", "max"]),
        ("/thinking ", ["fold", "show", "hide"]),
        ("/load ta", ["talk"]),
        ("What is /e", []),
        ("two\n/e", []),
    ],
)
def test_what_is_offered_for_completion(typed: str, offered: list[str], tiny: Reasoner) -> None:
    path = transcript.path_of("talk")
    path.parent.mkdir(parents=True)
    path.write_text('{"minireason_session": 1}\n')
    chat = Chat(tiny, tiny.chat(), {}, lambda _name: tiny, "tiny")
    assert completions(chat, typed) == offered


def test_odd_paths_and_numbers_are_told() -> None:
    odd = [
        "/file ~nosuchuser/x",
        "/load ~nosuchuser/x",
        "/file a\0b",
        "/export a\0b",
        "/file /dev/zero",
        "/copy " + "1" * 5000,
    ]
    script = "\n".join(["What is 1 + 2?", *odd, "What is 5 + 8?", ""])
    result = run(*TINY, "--thinking", "hide", stdin=script.encode())
    assert (result.code, result.out.count("boxed")) == (0, 2)
    assert len(complaints(result)) == len(odd)


def test_a_last_line_that_goes_on_with_nothing_is_asked() -> None:
    assert "13" in run(*TINY, "--thinking", "hide", stdin=b"What is 5 + 8?\\").out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_thinking_that_cannot_be_written_is_told_and_the_answer_comes(
    form: tuple[str, ...],
) -> None:
    asked = ("ask", "--model", "tiny", "--threads", "1", "--thinking", "/dev/full")
    result = run(*asked, *form, "What is 5 + 8?")
    assert result.code == 6
    assert "boxed{13}" in result.out
    assert complaints(result) == [
        "The thinking cannot be written to /dev/full (No space left on device), so the rest of it "
        "is lost; make room there, or name another file the next time.\n"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_chat_goes_on_where_its_thinking_cannot_be_written() -> None:
    result = run(*TINY, "--thinking", "/dev/full", stdin=b"What is 5 + 8?\nWhat is 1 + 2?\n")
    assert (result.code, result.out.count("boxed")) == (6, 2)
    assert len(complaints(result)) == 1


def test_an_export_that_cannot_be_written_is_told() -> None:
    script = b"What is 5 + 8?\n/export /no/such/dir.md\nWhat is 1 + 2?\n"
    result = run(*TINY, "--thinking", "hide", stdin=script)
    assert result.code == 0
    assert "/no/such/dir.md cannot be written" in result.err
    assert result.out.count("boxed") == 2


def test_in_a_pipe_only_answers_are_on_standard_output() -> None:
    script = b"What is 5 + 8?\n/save talk\n/sessions\n/help\n/thinking\n/context\n/stats\n"
    result = run(*TINY, "--thinking", "hide", stdin=script)
    assert (result.code, result.out) == (0, "The answer is \\boxed{13}.\n")
    assert "talk\t1\t" in result.err
    assert "/help " in result.err
    assert "\n  ones 5+8=13, so 3" in result.err
    assert [line for line in result.err.splitlines() if line != line.rstrip()] == []
