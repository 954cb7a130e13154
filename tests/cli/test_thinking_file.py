"""--thinking FILE: made for the user's eyes, never written over, and never made of a mistyped word."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tests.cli.run import assert_one_sentence, minireason

TINY = ("--model", "tiny", "--threads", "1", "--temperature", "0")
QUESTION = "What is 5 + 8?"


@pytest.mark.parametrize("command", ["ask", "chat"])
@pytest.mark.parametrize(
    ("word", "hint"),
    [("hid", "did you mean hide?"), ("fodl", "It takes"), ("stder", "did you mean stderr?")],
)
def test_a_mistyped_word_makes_no_file(
    command: str, word: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = minireason(command, *TINY, "--thinking", word, stdin=QUESTION.encode())
    assert_one_sentence(result, 2, hint)
    assert f"--thinking {word}: " in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("mine")
    (tmp_path / "link.txt").symlink_to(file)
    for name in ("mine.txt", "link.txt"):
        path = str(tmp_path / name)
        result = minireason("ask", *TINY, "--thinking", path, QUESTION)
        assert_one_sentence(result, 2, f"There is a file {path} already")
    assert file.read_text() == "mine"


def test_a_new_file_is_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("thought.txt", "./thought"):
        assert minireason("ask", *TINY, "--thinking", name, QUESTION).code == 0
        assert "5 + 8" in Path(name).read_text()
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600


def test_devices_and_pipes_are_written_to(tmp_path: Path) -> None:
    assert minireason("ask", *TINY, "--thinking", os.devnull, QUESTION).code == 0
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert minireason("ask", *TINY, "--thinking", str(pipe), QUESTION).code == 0
    reader.join()
    assert "5 + 8" in read[0]
