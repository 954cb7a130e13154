"""Sessions of the chat: killed, closed, forged, in use, on a full disk."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

from minireason.conversation import transcript
from tests.cli.chatting import STORY, TINY, writing
from tests.cli.pseudo_terminal import CTRL_T, PATIENCE_S, Terminal
from tests.cli.run import assert_one_sentence, minireason

resource, termios = pytest.importorskip("resource"), pytest.importorskip("termios")


@pytest.mark.slow
def test_what_was_killed_in_an_answer_goes_on(smollm2_path: Path) -> None:
    terminal = Terminal("chat", "--model", str(smollm2_path), "--session", "story")
    terminal.ready()
    terminal.type(f"{STORY}\r")
    path = transcript.path_of("story")
    terminal.until(lambda: path.exists() and '"thinking": ""' in path.read_text())
    terminal.child.kill(signal.SIGKILL)
    terminal.child.wait()
    again = Terminal(*TINY, "--continue")
    again.see("cut off; what had been saved of it is kept")
    again.enter("What is 5 + 8?")
    again.child.kill(signal.SIGHUP)
    again.ended()
    turns = transcript.read(path).history.turns
    assert [turn.finish_reason for turn in turns] == ["interrupted", "stop"]
    assert turns[0].answer
    assert "story" in minireason("sessions").out


def test_a_closed_terminal_saves_what_there_is(smollm2_path: Path) -> None:
    terminal = Terminal("chat", "--model", str(smollm2_path), "--session", "hung up")
    terminal.ready()
    terminal.type(f"{STORY}\r")
    writing(terminal)
    terminal.child.close(force=False)  # the terminal goes, SIGHUP comes
    path = transcript.path_of("hung up")
    end = time.monotonic() + PATIENCE_S
    while not transcript.read(path).history.turns:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert transcript.read(path).history.turns[0].answer


def test_a_chat_that_is_asked_to_end_leaves_the_terminal_as_it_was() -> None:
    terminal = Terminal(*TINY)
    terminal.enter("What is 5 + 8?")
    assert not termios.tcgetattr(terminal.child.child_fd)[3] & termios.ECHO, (
        "the input line shows the keys itself"
    )
    kept = os.dup(terminal.child.child_fd)
    terminal.child.kill(signal.SIGTERM)
    terminal.until(lambda: not terminal.child.isalive())
    assert termios.tcgetattr(kept)[3] & termios.ECHO
    os.close(kept)
    assert terminal.ended() == 143
    assert terminal.raw.rindex("\x1b[?2004l") > terminal.raw.rindex("\x1b[?2004h"), (
        "pastes are not marked any more"
    )


def test_a_session_in_use_is_refused_until_its_chat_ends() -> None:
    terminal = Terminal(*TINY, "--session", "talk")
    terminal.ready()
    (
        assert_one_sentence(
            minireason(*TINY, "--session", "talk"),
            1,
            "The session talk is open in another chat; end that one first",
        ),
        "begun",
    )
    terminal.enter("What is 5 + 8?")
    for option in (("--session", "talk"), ("--continue",)):
        assert_one_sentence(
            minireason(*TINY, *option, stdin=b"What is 1 + 2?\n"),
            1,
            "The session talk is open in another chat",
        )
    other = minireason(*TINY, stdin=b"/load talk\nWhat is 1 + 2?\n/save talk\n")
    assert (other.code, other.out) == (0, "The answer is \\boxed{3}.\n"), (
        "a chat goes on with its own"
    )
    assert other.err.count("open in another chat") == 1
    assert "There is a session talk already" in other.err
    terminal.child.kill(signal.SIGKILL)
    terminal.child.wait()
    again = minireason(*TINY, "--session", "talk", stdin=b"What is 1 + 2?\n")
    assert again.code == 0, "the lock went with the process"
    turns = transcript.read(transcript.path_of("talk")).history.turns
    assert [turn.question for turn in turns] == ["What is 5 + 8?", "What is 1 + 2?"]


def test_a_full_disk_is_told_and_the_chat_goes_on() -> None:
    def full_at_500_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    terminal = Terminal(*TINY, "--session", "full", preexec_fn=full_at_500_bytes)
    terminal.enter("What is 347 + 586?")
    terminal.see("cannot be saved to")
    terminal.see("is saved once that is possible.")
    assert "▌ 13 ▐" in terminal.enter("What is 5 + 8?")
    told = " ".join(terminal.text.split())
    assert told.count("cannot be saved") == 1, "told once"
    terminal.enter("/stats")
    terminal.see("2 turns")
    terminal.type("/exit\r")
    assert terminal.ended() == 6
    assert "What was said last is lost." in " ".join(terminal.text.split())
    assert transcript.read(transcript.path_of("full")).history.unanswered == "What is 347 + 586?"


def test_a_forged_session_steers_nothing() -> None:
    evil = "a\x1b[2J\x1b]0;title\x07\x9b31m\u202eb\x1b]8;;http://x\x1b\\ [link](http://evil)"
    path = transcript.path_of("evil")
    path.parent.mkdir(parents=True)
    turn = {"turn": {"question": evil, "answer": evil, "thinking": evil, "model": evil, "at": evil}}
    path.write_text("\n".join(['{"minireason_session": 1}', json.dumps(turn), ""]))
    terminal = Terminal(*TINY, "--session", "evil")
    terminal.enter("/thinking")
    terminal.see("␛]0;title␇")
    terminal.enter("/sessions")
    assert "\x1b]" not in terminal.raw
    assert "\x9b" not in terminal.raw
    assert "\u202e" not in terminal.raw
    terminal.type("/exit\r")
    assert terminal.ended() == 0


def test_nothing_to_continue() -> None:
    assert_one_sentence(minireason(*TINY, "--continue"), 1, "no session yet")
    assert "no sessions yet" in minireason("sessions").err


def test_empty_files_and_links_to_nowhere_are_no_sessions(tmp_path: Path) -> None:
    assert minireason(*TINY, "--session", "talk", stdin=b"What is 5 + 8?\n").code == 0
    folder = transcript.sessions_dir()
    (folder / "zz.jsonl").touch()
    (folder / "nowhere.jsonl").symlink_to(tmp_path / "gone")
    (folder / "markup.jsonl").write_bytes(
        (folder / "talk.jsonl").read_bytes().replace(b"What is 5 + 8?", b"what does [/INST] mean")
    )
    os.utime(folder / "markup.jsonl", (1, 1))
    assert [path.stem for path in transcript.listed()] == ["talk", "markup"]
    result = minireason(*TINY, "--continue", "--thinking", "hide", stdin=b"What is 1 + 2?\n")
    assert (result.code, "talk: 1 turn" in result.err) == (0, True)
    terminal = Terminal("sessions")
    terminal.see("[/INST]")
    assert terminal.ended() == 0


def shown_turns(terminal: Terminal) -> list[str]:
    """The turns on the screen, without the speed and the keys, of which a file knows nothing."""
    lines = terminal.ready().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("> What"))
    return [re.sub(r" · (Ctrl-T .*|[0-9,.]+ tokens/s)$", "", line) for line in lines[start:]]


def test_what_is_gone_on_with_looks_as_it_looked() -> None:
    terminal = Terminal(*TINY, "--session", "talk", columns=60, rows=40)
    terminal.enter("What is 5 + 8?")
    terminal.enter("What is 347 + 586?")
    live = shown_turns(terminal)
    assert "The answer is ▌ 933 ▐." in live
    terminal.type("/exit\r")
    assert terminal.ended() == 0
    again = Terminal(*TINY, "--continue", columns=60, rows=40)
    assert shown_turns(again) == live
    again.type("/exit\r")
    assert again.ended() == 0
    loaded = Terminal(*TINY, "--no-save", columns=60, rows=40)
    loaded.enter("/load talk")
    assert shown_turns(loaded) == live
    loaded.type(CTRL_T)
    loaded.see("hundreds 3+5+1=9, so 933")
    loaded.type("/exit\r")
    assert loaded.ended() == 0
    shown = Terminal("sessions", "show", "talk", columns=60, rows=40)
    assert shown.ended() == 0
    assert shown.lines[1:] == live[:-2]


def test_of_a_long_conversation_the_end_is_shown() -> None:
    steps = [{"turn": {"question": f"q{number}", "answer": f"a{number}"}} for number in range(60)]
    path = transcript.path_of("long")
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{json.dumps(s)}\n" for s in [{"minireason_session": 1}, *steps]))
    terminal = Terminal(*TINY, "--continue", rows=300)
    terminal.see("(10 turns before these; minireason sessions show prints all)")
    lines = terminal.ready().splitlines()
    assert ("> q9" in lines, "> q10" in lines, "a59" in lines) == (False, True, True)
    whole = Terminal("sessions", "show", "long", rows=300)
    assert whole.ended() == 0
    assert whole.lines.count("> q0") == 1


def test_a_chat_in_a_pipe_leaves_no_session_but_one_with_a_name() -> None:
    question = b"What is 5 + 8?\n"
    first = minireason(*TINY, stdin=question + b"/save\n/clear\n")
    assert first.out == "The answer is \\boxed{13}.\n"
    assert "nothing is saved until then" in first.err
    assert "(forgotten)" in first.err
    assert transcript.listed() == []
    assert minireason(*TINY, stdin=question + b"/save kept\n").code == 0
    assert minireason(*TINY, "--session", "named", stdin=question).code == 0
    assert sorted(path.stem for path in transcript.listed()) == ["kept", "named"]


def test_what_a_person_types_is_saved_unless_it_is_not_wanted() -> None:
    for options in (("--no-save",), ()):
        assert transcript.listed() == []
        terminal = Terminal(*TINY, *options)
        terminal.enter("What is 5 + 8?")
        terminal.type("/exit\r")
        assert terminal.ended() == 0
    assert len(transcript.listed()) == 1
    for option in (("--continue",), ("--session", "x")):
        refused = minireason(*TINY, "--no-save", *option, stdin=b"hi\n")
        assert_one_sentence(refused, 2, "Give --no-save, or a session to save to, not both.")


def test_the_system_prompt_is_saved_with_the_session() -> None:
    options = (*TINY, "--session", "brief")
    assert minireason(*options, "--system", "Be brief.", stdin=b"What is 5 + 8?\n").code == 0
    assert transcript.read(transcript.path_of("brief")).history.system == "Be brief."
    assert "(system prompt: Be brief.)" in minireason(*options, stdin=b"/system\n").err


def test_sessions_are_shown_and_removed(tmp_path: Path) -> None:
    question = b"What is 5 + 8?\n"
    script = question + b"/save one\n/save two words\n/save open\n"
    assert minireason(*TINY, stdin=script).code == 0
    shown = minireason("sessions", "show", "two words")
    assert "## Question\n\nWhat is 5 + 8?" in shown.out
    [turn] = json.loads(minireason("sessions", "show", "one", "--json").out)["turns"]
    assert turn["answer"] == "The answer is \\boxed{13}."
    lock = transcript.Lock(transcript.path_of("open"))
    refused = minireason("sessions", "rm", "open")
    assert_one_sentence(refused, 1, "The session open is open in another chat")
    lock.release()
    removed = minireason("sessions", "rm", "one", "two words")
    assert (removed.code, removed.out) == (0, "one is removed.\ntwo words is removed.\n")
    assert [path.stem for path in transcript.listed()] == ["open"]
    assert_one_sentence(minireason("sessions", "rm", "one"), 1, "There is no session")
    elsewhere = tmp_path / "mine.jsonl"
    elsewhere.write_bytes(transcript.path_of("open").read_bytes())
    assert_one_sentence(minireason("sessions", "rm", str(elsewhere)), 1, "remove the file yourself")
    assert elsewhere.exists()


def test_a_session_that_could_not_be_saved_ends_with_6(tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("")
    environment = {"MINIREASON_HOME": str(home)}
    asked = b"What is 2 + 2?\n"
    result = minireason(*TINY, "--session", "q", stdin=asked, env=environment)
    assert (result.code, result.out) == (6, "The answer is \\boxed{4}.\n")
    assert "What was said last is lost." in result.err


def test_a_session_name_is_a_name_and_a_path_is_said_as_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    for name in (f"{tmp_path}/mine", str(file), "mine.jsonl"):
        refused = minireason(*TINY, "--session", name, stdin=b"hi\n")
        assert_one_sentence(refused, 2, "there is --session-file PATH.")
    refused = minireason(*TINY, "--session-file", str(tmp_path / "mine"), stdin=b"hi\n")
    assert_one_sentence(refused, 2, "the file of a session ends in .jsonl.")
    both = minireason(*TINY, "--session-file", str(file), "--session", "x", stdin=b"hi\n")
    assert_one_sentence(both, 2, "Give one of --continue")
    for question in (b"What is 5 + 8?\n", b"What is 1 + 2?\n"):
        assert minireason(*TINY, "--session-file", str(file), stdin=question).code == 0
    assert len(transcript.read(file).history.turns) == 2
    assert transcript.listed() == []


def test_a_session_without_a_name_is_called_one_word() -> None:
    for _ in range(2):
        transcript.new().append([{"system": "Be brief."}])
    names = [path.stem for path in transcript.listed()]
    assert len(names) == 2
    assert all(shlex.quote(name) == name for name in names)
    assert all(transcript.path_of(name).exists() for name in names)
