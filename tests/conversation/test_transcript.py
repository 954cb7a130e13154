"""Sessions on disk: for their owner's eyes only, read with a bound, and as those of before."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from minireason import Reasoner, SessionError
from minireason.cli.chat import export, files
from minireason.conversation import transcript
from minireason.conversation.history import History, Turn
from minireason.conversation.transcript import Lock, Transcript
from minireason.errors import UsageError
from minireason.host import journal
from minireason.messages import Message
from minireason.testing import ScriptedBackend

TURN = Turn("What is 1 + 1?", "2", "One and one.", "tiny")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def history() -> History:
    talk = History()
    talk.apply(TURN.step())
    return talk


def test_sessions_are_private_also_older_ones(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    Transcript(path, Lock(path, new=True)).append([TURN.step()])
    assert mode(path) == 0o600
    path.chmod(0o644)  # as made by hand, or copied
    saved = transcript.read(path)
    assert mode(path) == 0o644, "reading changes nothing"
    Transcript(path, Lock(path), saved.length).append([TURN.step()])
    assert mode(path) == 0o600
    assert len(transcript.read(path).history.turns) == 2


def test_a_saved_session_is_private_and_replaces_a_link(tmp_path: Path) -> None:
    precious, path = tmp_path / "precious", tmp_path / "talk.jsonl"
    precious.write_text("mine")
    path.symlink_to(precious)
    transcript.write(path, history(), Lock(path))
    assert mode(path) == 0o600
    assert precious.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir() if "draft" in entry.name] == []


@pytest.mark.parametrize("suffix", [".md", ".json"])
def test_an_export_is_private(tiny: Reasoner, tmp_path: Path, suffix: str) -> None:
    saved = tmp_path / "saved.jsonl"
    transcript.write(saved, history(), Lock(saved))
    with tiny.chat() as session:
        session.load(saved)
        path = export.write(session, str(tmp_path / f"talk{suffix}"))
    assert mode(path) == 0o600
    assert "One and one." in path.read_text()


@pytest.mark.parametrize("kind", ["link to /dev/zero", "pipe", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "talk.jsonl"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(SessionError, match="cannot be read"):
        transcript.read(path)
    with pytest.raises(UsageError, match=r"cannot be read|is a directory"):
        files.read(str(path))


def test_no_more_is_read_than_a_session_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "talk.jsonl"
    transcript.write(path, history(), Lock(path))
    monkeypatch.setattr(transcript, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(SessionError, match="too large"):
        transcript.read(path)


def test_a_line_without_end_is_damaged_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_LINE_BYTES", 100)
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"a": 1}\n' + b"x" * 250 + b'\n{"b": 2}\n')
    values = [line.value for line in journal.read(path)]
    assert (values[0], values[-1]) == ({"a": 1}, {"b": 2})
    assert set(map(str, values[1:-1])) == {"None"}


def test_a_session_of_before_is_read_as_ever(tmp_path: Path) -> None:
    """Lines of minireason 0.1.0, a reply that was cut off at the end among them."""
    path = tmp_path / "old.jsonl"
    lines = [
        {"minireason_session": 1, "created": "2026-11-24T06:00:00+00:00"},
        {"system": "Be brief."},
        {"asked": "What is 1 + 1?", "again": False},
        {"thinking": "One ", "answer": ""},
        TURN.step(),
        {"asked": "And 2 + 2?", "again": False},
        {"thinking": "Two and two", "answer": "4"},
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    saved = transcript.read(path)
    assert saved.history.system == "Be brief."
    assert [turn.answer for turn in saved.history.turns] == ["2", "4"]
    assert "cut off" in saved.problems[0]


@pytest.mark.parametrize("number", ["1e999", "-1", "NaN", "9" * 400, "9" * 5000, "true"])
def test_a_number_that_cannot_be_makes_a_damaged_line(tmp_path: Path, number: str) -> None:
    path = tmp_path / "talk.jsonl"
    transcript.write(path, history(), Lock(path))
    text = path.read_text()
    path.write_text(text.replace('"total_s": 0.0', f'"total_s": {number}'))
    saved = transcript.read(path)
    assert saved.history.turns == []
    assert "damaged" in saved.problems[0]


class CountingBackend(ScriptedBackend):
    """A model of one token a character: counts what it is asked to count."""

    def __init__(self) -> None:
        super().__init__("", n_ctx=3000)
        self.chars = 0

    def count_tokens(self, messages: Sequence[Message], *, at_most: int | None = None) -> int:
        tokens = 0
        for message in messages:
            tokens += len(message["content"])
            if at_most is not None and tokens > at_most:
                break
        self.chars += tokens
        return tokens


def test_a_session_opens_without_counting_all_that_was_ever_said(tmp_path: Path) -> None:
    """What is counted depends on what the context holds, and not on the length of the talk."""
    counted, prompts = [], []
    for turns in (500, 2000):
        path, long, model = tmp_path / f"{turns}.jsonl", History(), CountingBackend()
        for _ in range(turns):
            long.apply(Turn("What is it?", "a" * 20).step())
        transcript.write(path, long, Lock(path))
        with Reasoner(model).chat() as session:
            session.load(path)
            session.prefill()
            assert session.left_out == turns - len(model.prefilled[0]) // 2
        counted.append(model.chars)
        prompts.append(len(model.prefilled[0]))
    assert counted[0] == counted[1] < 20 * model.n_ctx
    assert prompts == [64, 64], "as many turns as a third of the context holds"


@pytest.mark.parametrize(
    "name", ["x" * 250 + ".jsonl", "a\0b.jsonl", "/tmp/" + "x" * 300 + ".jsonl"]
)
def test_a_path_that_no_system_allows_is_one_sentence(name: str) -> None:
    with pytest.raises(SessionError, match="cannot be a file") as caught:
        transcript.path_of(name)
    assert len(str(caught.value)) < 200
    assert transcript.path_of("x" * 200 + ".jsonl").name == "x" * 200 + ".jsonl"


def test_a_reply_cut_off_with_the_program_is_kept_as_far_as_saved(tmp_path: Path) -> None:
    head = b'{"minireason_session": 1}\n'
    asked = b'{"asked": "q", "again": false}\n{"thinking": "t", "answer": ""}\n'
    path = tmp_path / "talk.jsonl"
    path.write_bytes(head + asked)
    saved = transcript.read(path)
    assert (saved.history.turns, saved.history.unanswered) == ([], "q")
    assert "cut off" in saved.problems[0]
    path.write_bytes(
        head
        + asked
        + b'{"thinking": "u", "answer": "half an"}\n{"thinking": "", "answer": " answer"}\n'
    )
    turn = transcript.read(path).history.turns[0]
    assert (turn.thinking, turn.answer, turn.finish_reason) == (
        "tu",
        "half an answer",
        "interrupted",
    )


def test_a_retry_cut_off_with_the_program_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    whole = b'{"turn": {"question": "q", "answer": "a"}}\n{"asked": "q", "again": true}\n'
    whole += b'{"thinking": "", "answer": "b"}\n'
    path.write_bytes(b'{"minireason_session": 1}\n' + whole)
    assert [turn.answer for turn in transcript.read(path).history.turns] == ["a"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "not a session"),
        (b"\x00\xff\n", "not a session"),
        (b'{"turn": {}}\n', "not a session"),
        (b'{"minireason_session": 2}\n', "newer minireason"),
        (b"[" * 100_000, "not a session"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_bytes(content)
    with pytest.raises(SessionError, match=part):
        transcript.read(path)
    with pytest.raises(SessionError, match="There is no session"):
        transcript.read(tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", ["", "..", "a\x1b", ".hidden", "x" * 200])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(SessionError, match="cannot be the name"):
        transcript.path_of(name)
