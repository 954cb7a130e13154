from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.cli.markdown import Answer, block_end
from tests.cli.terminal import pyte

TEXT = """# Answer

First **this** and \\(x^2\\).

1. one

   - inner

2. two
```python
def f():

    return 1
```

| a | b |
|---|---|
| 1 | 漢字🙂 |

So \\boxed{13}.
"""


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("one", None),
        ("one\n", None),
        ("one\n\n", None),
        ("\n\none\n\n", None),
        ("one\n\ntwo", 5),
        ("one\n\n\n\ntwo", 7),
        ("1. one\n\n   of it\n\nx", 18),
        ("```\na\n\nb\n", None),
        ("```\na\n\nb\n```\n\nc", 14),
        ("~~~py\n\n~~~\n\nx", 12),
    ],
)
def test_where_a_markdown_block_ends(text: str, end: int | None) -> None:
    assert block_end(text) == end


def written(chunks: list[str], columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a terminal shows of an answer, drawn with every piece."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("LINES", "40")
    screen = pyte.HistoryScreen(columns, 40)
    stream = pyte.Stream(screen)

    class Tty(io.StringIO):
        def write(self, text: str) -> int:
            stream.feed(text.replace("\n", "\r\n"))
            return len(text)

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", Tty())
    monkeypatch.setattr(sys, "stderr", Tty())
    answer = Answer()
    for chunk in chunks:
        answer.write(chunk)
        answer._next_draw = 0.0
    answer.end()
    return [line.rstrip() for line in screen.display]


def test_an_answer_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "a\x1b[2J\x1b]0;title\x07\r\x9b31m\u202eb\x1b]8;;http://x\x1b\\ [link](http://evil)\n\n```\n\x1b[H\n```\n\n\\(\x1b[H\\)"
    shown = "\n".join(written([evil], 80, monkeypatch))
    assert shown.count("␛[H") == 2
    assert "␛[2J␛]0;title␇␍\ufffd31m\ufffdb␛]8;;http://x␛" in shown
    assert "link (http://evil)" in shown, "and says where it leads"


def test_an_answer_as_a_person_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "\n".join(written([TEXT], 60, monkeypatch)).rstrip()
    assert [line.strip() for line in shown.split("\n\n")[0].splitlines()] == ["Answer"]
    assert "\n\nFirst this and x².\n\n" in shown, "blocks have a blank line between them"
    assert "\n 1 one\n" in shown
    assert "    • inner\n" in shown, "an entry's further lines stay with it"
    assert " def f():\n\n     return 1\n" in shown
    assert "漢字🙂" in shown
    assert shown.endswith("So ▌ 13 ▐.")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=30), st.sampled_from([40, 80, 200]))
def test_an_answer_looks_the_same_however_it_comes(sizes: list[int], columns: int) -> None:
    chunks, start = [], 0
    for size in sizes:
        chunks.append(TEXT[start : start + size])
        start += size
    chunks.append(TEXT[start:])
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert written(chunks, columns, monkeypatch) == written([TEXT], columns, monkeypatch)
