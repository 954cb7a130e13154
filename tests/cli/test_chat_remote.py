"""The chat with models of a server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minireason import Reasoner, connect
from minireason.cli.chat import commands
from minireason.cli.chat.loop import Chat
from minireason.conversation import transcript
from minireason.testing import ScriptedBackend
from tests.backends.remote.misbehaving import (
    Answer,
    Misbehaving,
    chunk,
    models,
    refused,
    reply,
)
from tests.cli.chatting import completions
from tests.cli.pseudo_terminal import CTRL_C, Terminal
from tests.cli.run import minireason as run
from tests.server.conftest import served
from tests.server.serving import Served

__all__ = ["served"]

Serve = Callable[..., Served]
KEY = "sk-secret"


@pytest.fixture
def two(served: Serve) -> str:
    """A server of two models, of which one does not think; it wants a key."""
    first = ScriptedBackend("I am one.", name="one")
    second = ScriptedBackend("I am two.", name="two", thinks=False)
    return f"{served(first, second, api_keys=(KEY,)).url}v1"


def test_another_model_of_the_server_and_back(two: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    script = (
        "/model\nWho?\n/model two\nWho?\n/model nowhere\nWho?\n/model\n/model one\nWho?\n"
        "/effort low\n/model two\n"
    )
    options = ("--url", two, "--api-key-file", str(key), "--session", "talk")
    result = run("chat", *options, stdin=script.encode())
    assert result.code == 0
    assert result.out == "I am one.\nI am two.\nI am two.\nI am one.\n"
    lines = result.err.splitlines()
    before, after = (set(line[16:].split(", ")) for line in lines if line.startswith("The server"))
    assert before >= {"one (in use)", "two"}
    assert after >= {"one", "two (in use)"}
    [refused] = [line for line in lines if line.startswith("minireason: ")]
    assert "has no model named 'nowhere'; it has one, " in refused
    assert "(two does not think, so that /effort changes nothing.)" in lines
    assert KEY not in result.err
    turns = transcript.read(transcript.path_of("talk")).history.turns
    assert [turn.model for turn in turns] == ["one", "two", "two", "one"]


def test_the_name_of_a_server_goes_on_with_its_key(two: str) -> None:
    file = Path(os.environ["MINIREASON_HOME"]) / "remotes.toml"
    file.write_text(f'[gpu]\nurl = "{two}"\nmodel = "two"\napi_key_env = "GPU_KEY"\n')
    script = b"Who?\n/model one\nWho?\n"
    result = run("chat", "--url", "gpu", stdin=script, env={"GPU_KEY": KEY})
    assert (result.code, result.out) == (0, "I am two.\nI am one.\n")


def opened(url: str) -> Chat:
    """A chat with the first model of a server."""

    def open_model(name: str) -> Reasoner:
        return connect(url, model=name)

    reasoner = open_model("one")
    return Chat(reasoner, reasoner.chat(), {}, open_model, "one", "hide")


def test_what_is_offered_are_the_models_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    server = Misbehaving(pages={"/v1/models": models("one", "two", "\x1b[2J")})
    chat = opened(server.url)
    asked = len(server.paths)
    assert completions(chat, "/model ") == ["one", "two"]
    assert len(server.paths) == asked, "Tab asks nobody"
    server.pages["/v1/models"] = models("three", *(f"m{number}" for number in range(1000)))
    commands.handle(chat, "/model")
    assert completions(chat, "/model th") == ["three"]
    server.stop()
    told = capsys.readouterr().err
    assert told.startswith("The server has: one (in use), three, m0, ")
    assert len(told) < 2_100
    chat.reasoner.close()


def test_a_server_that_has_gone_is_told_and_the_model_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = Misbehaving(pages={"/v1/models": models("one", "two")})
    chat = opened(server.url)
    server.stop()
    before = chat.reasoner
    for line in ("/model", "/model two"):
        assert not commands.handle(chat, line)
        assert "cannot be reached" in capsys.readouterr().err
    assert chat.reasoner is before
    chat.reasoner.close()


def failing_once() -> Misbehaving:
    """A server that loses its first reply in the middle, and gives the second."""
    return Misbehaving(Answer([chunk(content="I am")]), reply(chunk(content="I am here.")))


def test_a_chat_at_a_terminal_outlives_a_failure_of_the_server() -> None:
    terminal = Terminal("chat", "--no-save", "--url", failing_once().url)
    terminal.enter("Who?")
    terminal.see("lost in the middle")
    terminal.enter("/retry")
    terminal.see("I am here.")
    terminal.type("/exit\r")
    assert terminal.ended() == 0


def test_a_chat_in_a_pipe_ends_with_a_failure_of_the_server() -> None:
    result = run("chat", "--url", failing_once().url, stdin=b"Who?\nWho?\n")
    assert result.code == 6
    assert "here" not in result.out


def busy(count: int = 9) -> list[Answer]:
    """Refusals of a server that has too much to do for a minute."""
    return [refused(503, Retry_After="60")] * count


@pytest.mark.parametrize("options", [(), ("--thinking", "show")], ids=["fold", "show"])
def test_a_chat_says_that_a_busy_server_is_asked_again(options: tuple[str, ...]) -> None:
    """And Ctrl-C does not wait for that."""
    server = Misbehaving(*busy(1), reply(chunk(content="I am here.")))
    terminal = Terminal("chat", "--no-save", "--url", server.url, *options)
    terminal.ready()
    terminal.type("Who?\r")
    terminal.see("server busy (status 503), try 2 of 5 in ")
    terminal.type(CTRL_C)
    terminal.see("Stopped before there was an answer")
    assert "try 2" not in terminal.ready(), "the line is gone"
    assert len(server.bodies) == 1
    terminal.enter("/retry")
    terminal.see("I am here.")
    terminal.type("/exit\r")
    assert terminal.ended() == 0
    server.stop()


@pytest.mark.slow
def test_a_chat_says_that_a_server_is_not_reached() -> None:
    server = Misbehaving()
    terminal = Terminal("chat", "--no-save", "--url", server.url)
    terminal.ready()
    server.stop()
    terminal.type("Who?\r")
    terminal.see("server not reached, try 3 of 5")
    assert "Ctrl-C: stop" in terminal.text
    terminal.see("cannot be reached")
    assert "/retry asks again" in " ".join(terminal.ready().split())
    terminal.type("/exit\r")
    assert terminal.ended() == 0


@pytest.mark.parametrize("command", ["ask", "solve"])
def test_a_question_says_that_a_busy_server_is_asked_again(command: str) -> None:
    server = Misbehaving(*busy())
    terminal = Terminal(command, "--url", server.url, "Who?")
    terminal.see("server busy (status 503), try 2 of 5 in ")
    terminal.type(CTRL_C)
    assert terminal.ended() == 130
    assert "try 2" not in terminal.text
    server.stop()


@pytest.mark.parametrize("command", ["ask", "solve", "chat"])
def test_nothing_of_that_is_in_a_pipe(command: str) -> None:
    server = Misbehaving(*[refused(503, Retry_After="0")] * 100)
    question = () if command == "chat" else ("Who?",)
    result = run(command, "--url", server.url, *question, stdin=b"Who?\n" * (command == "chat"))
    assert (result.code, result.out) == (6, "")
    assert "try " not in result.err.replace("try later", "")
    server.stop()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_vote_whose_server_fails_is_shown_so_far(form: tuple[str, ...]) -> None:
    voted = reply(chunk(content="It is \\boxed{4}."))
    server = Misbehaving(voted, voted, *[refused(503, Retry_After="0")] * 10)
    result = run("solve", "--url", server.url, "-n", "8", "--parallel", "1", *form, "2 + 2?")
    assert result.code == 6
    assert result.err.splitlines()[-1].startswith("minireason: ")
    if form:
        assert json.loads(result.out)["answer"] == "4"
    else:
        assert result.out == "4\n"
        assert "2 of 8 chains, 1 at a time · the server failed · " in result.err
    server.stop()


def counted(prompt: int, whole: int, thinking: int = 0) -> dict[str, Any]:
    """What a server tells of the tokens of a reply."""
    details = {"completion_tokens_details": {"reasoning_tokens": thinking}}
    return {"prompt_tokens": prompt, "completion_tokens": whole, **(details if thinking else {})}


def contexts(*replies: Answer, script: str, **facts: Any) -> list[str]:
    """What /context says in a chat with a server that gives these replies."""
    server = Misbehaving(*replies, pages={"/v1/models": models("m", **facts)})
    result = run("chat", "--url", server.url, stdin=script.encode())
    server.stop()
    assert result.code == 0, result.err
    return [line for line in result.err.splitlines() if "free" in line or "(the server" in line]


def test_the_context_is_what_the_server_counted_with_the_last_reply() -> None:
    hm, yes = chunk(reasoning="Hm, is it?"), "Yes, it is."
    told = contexts(
        reply(hm, chunk(content=yes, usage=counted(11, 50, 40))),
        reply(hm, chunk(content=yes, usage=counted(40, 25, 5))),
        script="/context\nIs it?\n/context\nIs it?\n/context\n/undo\n/context\n",
        max_model_len=1000,
    )
    assert told[0] == "█ questions about 4 · ▓ answers about 0 · ░ free about 996 of 1,000 tokens"
    assert told[1:3] == [
        "█ questions 11 · ▓ answers 10 · ░ free 979 of 1,000 tokens",
        "█ questions 30 · ▓ answers 30 · ░ free 940 of 1,000 tokens",
    ]
    assert "questions about " in told[3], "what is left was not counted last"
    assert len(told) == 4


@pytest.mark.parametrize(
    ("usage", "first"),
    [
        (None, "█ questions about "),
        (counted(11, 50), "█ questions about 11 · "),
        ({"completion_tokens": 50}, "█ questions about "),
    ],
    ids=["nothing told", "the thought not told apart", "the prompt not told"],
)
def test_what_the_server_does_not_count_is_about(usage: dict[str, Any] | None, first: str) -> None:
    said = reply(chunk(reasoning="Hm."), chunk(content="Yes.", usage=usage))
    bar, guess = contexts(said, script="Is it?\n/context\n")
    assert bar.startswith(first)
    assert bar.count("about ") == 3
    assert guess == "(the server does not tell its context: 131,072 tokens are taken for it)"


def test_a_file_for_a_server_has_about_so_many_tokens(tmp_path: Path) -> None:
    (tmp_path / "sum.txt").write_text("5 + 8")
    server = Misbehaving()
    script = f"/file {tmp_path}/sum.txt\n"
    assert "(sum.txt, about 1 tokens" in run("chat", "--url", server.url, stdin=script.encode()).err
    server.stop()
