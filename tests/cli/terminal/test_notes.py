from __future__ import annotations

import json
import re
from typing import Any

import pytest

from minireason.cli.terminal import notes, output
from tests.cli.seen import lines_of, stand_in


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain é漢🙂\n\ttext", "plain é漢🙂\n\ttext"),
        ("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        ("a\rb\x08c\x00", "a␍b␈c␀"),
        ("line\r\n", "line\n"),
        ("\x9b31m\x7f", "\ufffd31m␡"),
        ("abc\u202edcba\u2066", "abc\ufffddcba\ufffd"),
    ],
)
def test_control_sequences_are_made_harmless(text: str, wanted: str) -> None:
    assert output.harmless(text) == wanted


def test_error_is_one_line(capsys: Any) -> None:
    notes.error_line("two\nlines \x1b[31m")
    assert capsys.readouterr().err == "minireason: two lines ␛[31m\n"


def test_json_lines_cannot_steer_a_terminal() -> None:
    line = output.json_line({"answer": "\x9b2J\x7f\u202e é"})
    assert json.loads(line) == {"answer": "\x9b2J\x7f\u202e é"}
    assert not re.search("[\x7f-\x9f\u202e]", line)


@pytest.mark.parametrize("columns", [30, 60, 80])
def test_a_question_is_wrapped_at_words(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    question = "r1-70b needs 43.3 GiB of memory and there are 22.8. Fetch it all the same?"
    screen = stand_in(columns, 10, monkeypatch)
    monkeypatch.setattr("builtins.input", lambda: "y")
    assert notes.confirmed(question, default=False)
    assert " ".join(filter(None, lines_of(screen))) == f"{question} [y/N]"
