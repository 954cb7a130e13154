from __future__ import annotations

import io
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from minireason.cli.latex import in_markdown, to_unicode
from minireason.cli.markdown import Answer, _rendered, block_end
from minireason.cli.region import Region
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


@pytest.mark.parametrize(
    "answer",
    [
        "<http://x/%1b%5d0;pwned%1b%5c>",
        "[a](http://x/%1b%5b2J)",
        "&#x202E;abc &rlm;",
        "&#27;[2J &#155;2J",
    ],
)
def test_what_markdown_decodes_cannot_steer_the_terminal_either(answer: str) -> None:
    file = io.StringIO()
    region = Region(Console(file=file, force_terminal=True, width=60))
    region.leave(_rendered(answer))
    assert not re.search(
        "[\x00-\x09\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e]",
        file.getvalue(),
    )
    assert not re.search(r"\x1b(?!\[[0-9;]*[mKJA])", file.getvalue())


def test_hostile_formulas_take_no_longer_than_others() -> None:
    nested = "\\sqrt[" * 40
    assert to_unicode(nested) == nested
    unclosed = "\\[" * 20_000
    assert in_markdown(unclosed) == unclosed
    assert to_unicode("\\left[ " * 9 + "x" + " \\right]" * 9) == "[ " * 9 + "x" + " ]" * 9
