from __future__ import annotations

from typing import Any

import pytest

from minireason.cli import render


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
    assert render.harmless(text) == wanted


def test_error_is_one_line(capsys: Any) -> None:
    render.error_line("two\nlines \x1b[31m")
    assert capsys.readouterr().err == "minireason: two lines ␛[31m\n"
