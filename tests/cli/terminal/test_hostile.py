"""What a hostile or clumsy model may write: all of it is seen, and none of it obeyed."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from rich.cells import cell_len

from tests.cli.seen import drawn, letters, on_screen, written

STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
OURS = re.compile(r"\x1b\[[0-9;]*m")

HOSTILE = {
    "sequences": "a\x1b[2J\x1b[Hb \x1b]0;title\x07c \x9b31md \x1b[8mhidden\x1b[0m e",
    "links": "\x1b]8;;http://evil.example\x1b\\click me\x1b]8;;\x1b\\ "
    "[safe](http://evil.example/x)",
    "overwriting": "password\rharmless\x08\x08\x08\x08 \x7f end",
    "directions": "abc \u202edcba\u202c fed \u2066isolated\u2069 \u200fmark",
    "invisible": "a\u200bb\u200cc\ufeffd\u2060e soft\u00adhyphen",
    "markup of rich": "[red]red[/red] [link=http://evil.example]x[/link] [/] :smile:",
    "long words": f"see {'x' * 300} and\n- {'y' * 200}\n- https://example.com/{'path/' * 40}",
    "a long line": " ".join(f"{number:04}" for number in range(2000)),
    "a long word": "".join(f"{number:05}" for number in range(2000)),
    "wide characters": "漢字" * 60 + "\n\na" + "漢字" * 60 + "\n\n" + "🙂" * 50 + " end",
    "combining marks": "o\u0308" * 100 + " e" + "\u0301" * 50 + " end",
    "tabs": "\tone\ttwo\n- \tthree\n\n```\n\tfour\tfive\n```",
    "an endless fence": "```python\nprint('a')\n" + "# still code\n" * 50,
    "nested fences": "````markdown\nouter\n```python\nx = 1\n```\nouter\n````\nafter",
    "unclosed LaTeX": "\\( x + 1 and \\[ y \\begin{align} a &= b \\\\ and $z and $$w, \\boxed{42",
    "HTML": "<script>alert(1)</script> <!-- hidden --> &lt;tag&gt; <a href='x'>y</a>",
    "plain stars": "2*3*4 and __init__ and a_b_c and **not closed and *neither",
    "a wide table": "| " + " | ".join(f"column {number}" for number in range(30)) + " |\n"
    f"|{'---|' * 30}\n| {' | '.join(str(number) for number in range(30))} |",
}

some_text = pytest.mark.parametrize("name", HOSTILE)


@some_text
@pytest.mark.parametrize("columns", [10, 30, 60, 80, 120])
def test_all_is_seen_and_nothing_obeyed(name: str, columns: int) -> None:
    text = HOSTILE[name]
    shown = drawn(text, columns)
    assert not STEERS.search(OURS.sub("", shown))
    assert max(map(cell_len, shown.splitlines())) <= columns
    assert not Counter(written(text)) - Counter(letters(shown))


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - {"invisible", "combining marks"}))
@pytest.mark.parametrize(("columns", "rows"), [(30, 5), (80, 25)])
def test_it_looks_the_same_however_it_comes(
    name: str, columns: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for marks of width 0, at which the terminal of the tests stops drawing."""
    text = HOSTILE[name]
    whole = on_screen([text], columns, monkeypatch, rows=rows)
    pieces = re.findall("(?s).{1,997}", text)
    assert on_screen(pieces, columns, monkeypatch, rows=rows) == whole
