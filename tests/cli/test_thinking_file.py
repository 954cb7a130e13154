"""--thinking FILE: private, never written over, and never made of a mistyped word."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from minireason.cli.terminal.thinking import Thinking
from minireason.errors import UsageError
from tests.cli.run import assert_one_sentence, minireason

TINY = ("--model", "tiny", "--threads", "1", "--temperature", "0")
QUESTION = "What is 5 + 8?"


@pytest.mark.parametrize(
    ("command", "word", "hint"),
    [
        ("ask", "hid", "did you mean hide?"),
        ("ask", "fodl", "has to be one of show,"),
        ("chat", "fodl", "did you mean fold?"),
    ],
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
        with pytest.raises(UsageError, match=f"There is a file .*{name} already"):
            Thinking(str(tmp_path / name))
    assert file.read_text() == "mine"


def test_a_new_file_is_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("thought.txt", "./thought"):
        thoughts = Thinking(name)
        thoughts.write("5 + 8")
        thoughts.close()
        assert Path(name).read_text() == "5 + 8"
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600


def test_devices_and_pipes_are_written_to(tmp_path: Path) -> None:
    Thinking(os.devnull).close()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert minireason("ask", *TINY, "--thinking", str(pipe), QUESTION).code == 0
    reader.join()
    assert "5 + 8" in read[0]
