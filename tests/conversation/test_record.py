"""Conversations and their files: saved, loaded, mended, on a full disk."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from minireason import (
    Reasoner,
    SessionError,
)
from minireason.conversation import transcript
from minireason.conversation.history import History

FIRST, SECOND = "What is 12 + 5?", "What is 5 + 8?"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _read(path: Path) -> History:
    return transcript.read(path).history


def test_what_was_saved_is_loaded(tiny: Reasoner, tmp_path: Path) -> None:
    chat = tiny.chat(system="Be kind.")
    path = tmp_path / "new" / "talk.jsonl"
    chat.send(FIRST, temperature=0)
    chat.save(path)
    thought = chat.send(SECOND, temperature=0).thinking
    chat.retry(temperature=0)
    assert path.stat().st_mode & 0o777 == 0o600
    chat.close()
    other = tiny.chat()
    assert other.load(path) == ()
    assert (other.turns, other.system) == (chat.turns, "Be kind.")
    assert other.turns[1].thinking == thought
    assert all(thought not in message["content"] for message in other.messages)
    other.undo()
    assert [turn.question for turn in _read(path).turns] == [FIRST]


def test_one_session_at_a_time_has_a_file(tiny: Reasoner, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    with tiny.chat() as chat:
        chat.save(path)
        chat.send(FIRST, temperature=0)
        other = tiny.chat()
        for take in (other.load, other.save, other.save_to):
            with pytest.raises(SessionError, match="The session talk is open in another chat"):
                take(path)
        other.send(SECOND, temperature=0)
        assert chat.load(path) == (), "its own"
        chat.save(tmp_path / "elsewhere.jsonl")
        assert other.load(path) == (), "it was let go of"
        assert [turn.question for turn in other.turns] == [FIRST]
    other.close()
    other.send(SECOND, temperature=0)
    assert [turn.question for turn in _read(path).turns] == [FIRST], "not saved any more"
    assert {file.name for file in tmp_path.iterdir()} == {"talk.jsonl", "elsewhere.jsonl"}, (
        "no locks are left"
    )


def test_what_fails_to_load_leaves_everything_as_it_was(tiny: Reasoner, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    with tiny.chat() as chat:
        chat.save(tmp_path / "talk.jsonl")
        with pytest.raises(SessionError, match="not a session"):
            chat.load(bad)
        chat.send(FIRST, temperature=0)
    assert [turn.question for turn in _read(tmp_path / "talk.jsonl").turns] == [FIRST]
    with tiny.chat() as chat:
        with pytest.raises(SessionError, match="not a session"):
            chat.load(bad)
        with pytest.raises(SessionError, match="There is no session"):
            chat.load(tmp_path / "nowhere" / "talk.jsonl")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.jsonl", "talk.jsonl"], (
        "no lock is left, and nothing was made"
    )


def test_sessions_begun_in_one_second_have_files_of_their_own(tiny: Reasoner) -> None:
    chats = [tiny.chat() for _ in range(3)]
    for chat in chats:
        chat.save_to()
        chat.send(FIRST, temperature=0)
    assert len({chat.path for chat in chats}) == len(transcript.listed()) == 3


def test_a_session_begun_with_a_system_prompt_keeps_it_and_leaves_no_empty_file(
    tiny: Reasoner,
) -> None:
    chat = tiny.chat(system="Be brief.")
    chat.save_to()
    assert transcript.listed() == []
    chat.send(FIRST, temperature=0)
    assert chat.path
    saved = transcript.read(chat.path).history
    assert (saved.system, len(saved.turns)) == ("Be brief.", 1)
    chat.close()


@pytest.mark.parametrize("cut", [1, 30, 300])
def test_a_file_cut_short_keeps_its_whole_lines_and_is_mended(
    tiny: Reasoner, tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "talk.jsonl"
    chat = tiny.chat()
    chat.save(path)
    chat.send(FIRST, temperature=0)
    chat.send(SECOND, temperature=0)
    chat.close()
    path.write_bytes(path.read_bytes()[:-cut])
    again = tiny.chat()
    problems = again.load(path)
    assert (len(again.turns), again.unanswered) == ((2, None) if cut == 1 else (1, SECOND))
    assert ("torn" in " ".join(problems)) == (cut > 1)
    again.send("What is 1 + 2?", temperature=0)
    assert all("minireason_session" in line or line for line in lines(path)), (
        "every line is whole again"
    )
    assert [turn.question for turn in _read(path).turns][-1] == "What is 1 + 2?"


def test_a_full_disk_loses_nothing_once_there_is_room(
    tiny: Reasoner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "talk.jsonl"
    chat = tiny.chat()
    chat.save(path)
    write = os.write

    def half(handle: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[: len(data) - 10])

    monkeypatch.setattr(os, "write", half)
    chat.send(FIRST, temperature=0)
    assert chat.unsaved
    assert "No space left" in str(chat.unsaved)
    monkeypatch.undo()
    chat.send(SECOND, temperature=0)
    assert chat.unsaved is None
    assert tuple(_read(path).turns) == chat.turns
    with pytest.raises(SessionError, match="cannot be saved"):
        chat.save(tmp_path / "talk.jsonl" / "below")


def test_what_could_not_be_saved_is_tried_once_more_before_another_file(
    tiny: Reasoner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    chat = tiny.chat()
    chat.save(tmp_path / "first.jsonl")
    monkeypatch.setattr(os, "write", full)
    chat.send(FIRST, temperature=0)
    assert chat.unsaved
    monkeypatch.undo()
    chat.save(tmp_path / "second.jsonl")
    assert tuple(_read(tmp_path / "first.jsonl").turns) == chat.turns
    chat.close()
