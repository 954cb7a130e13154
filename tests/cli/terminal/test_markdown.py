from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from minireason.cli.terminal.markdown.blocks import Blocks
from minireason.cli.terminal.markdown.document import Markdown
from minireason.cli.terminal.region import Region
from tests.cli.seen import drawn, on_screen

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
    ("text", "ends"),
    [
        ("one", []),
        ("one\n", []),
        ("one\n\n", []),
        ("\n\none\n\n", []),
        ("one\n\ntwo", [5]),
        ("one\n\n\n\ntwo", [7]),
        ("1. one\n\n   of it\n\nx", [18]),
        ("```\na\n\nb\n", []),
        ("```\na\n\nb\n```\n\nc", [14]),
        ("~~~py\n\n~~~\n\nx", [12]),
        ("````md\n```py\n\nx\n```\n\ny\n````\n\nz\n\nw", [29, 32]),
        ("```md\n```py\nx\n```\n\ny\n```\n\nz", [26]),
        ("~~~\n```\n\nx\n~~~\n\ny", [16]),
        ("```a`b``` is no fence\n\nx", [23]),
    ],
)
def test_where_a_markdown_block_ends(text: str, ends: list[int]) -> None:
    starts = [0, *ends]
    blocks = [text[start:end] for start, end in zip(starts, [*ends, None], strict=True)]
    together = Blocks()
    assert [*together.feed(text), together.end()] == blocks
    one_by_one = Blocks()
    finished = [block for sign in text for block in one_by_one.feed(sign)]
    assert [*finished, one_by_one.end()] == blocks


def test_an_answer_cannot_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = (
        "a\x1b[2J\x1b]0;title\x07\r\x9b31m\u202eb\x1b]8;;http://x\x1b\\ [link](http://evil)\n\n"
        "```\n\x1b[H\n```\n\n\\(\x1b[H\\)"
    )
    shown = "\n".join(on_screen([evil], 80, monkeypatch))
    assert shown.count("␛[H") == 2
    assert "␛[2J␛]0;title␇␍\ufffd31m\ufffdb␛]8;;http://x␛" in shown
    assert "link (http://evil)" in shown, "and says where it leads"


def test_an_answer_as_a_person_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "\n".join(on_screen([TEXT], 60, monkeypatch)).rstrip()
    assert [line.strip() for line in shown.split("\n\n")[0].splitlines()] == ["Answer"]
    assert "\n\nFirst this and x².\n\n" in shown, "blocks have a blank line between them"
    assert "\n1. one\n" in shown
    assert "\n   - inner\n" in shown, "an entry's further lines stay with it"
    assert "\ndef f():\n\n    return 1\n" in shown, "so that it can be copied"
    assert "漢字🙂" in shown
    assert shown.endswith("So ▌ 13 ▐.")


@settings(max_examples=15)
@given(st.lists(st.integers(1, 40), max_size=30), st.sampled_from([40, 80, 200]))
def test_an_answer_looks_the_same_however_it_comes(sizes: list[int], columns: int) -> None:
    chunks, start = [], 0
    for size in sizes:
        chunks.append(TEXT[start : start + size])
        start += size
    chunks.append(TEXT[start:])
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert on_screen(chunks, columns, monkeypatch) == on_screen([TEXT], columns, monkeypatch)


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
    region.leave(Markdown(answer))
    assert not re.search(
        "[\x00-\x09\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e]",
        file.getvalue(),
    )
    assert not re.search(r"\x1b(?!\[[0-9;]*[mKJA])", file.getvalue())


@pytest.mark.parametrize("pieces", [["a\r\nb"], ["a\r", "\nb"], ["a\r", "", "\n", "b"]])
def test_a_line_end_of_two_characters_may_come_in_two_pieces(
    pieces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_screen(pieces, 40, monkeypatch)[:2] == ["a", "b"]


def test_a_carriage_return_at_the_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert on_screen(["a\r"], 40, monkeypatch)[0] == "a␍"


def shown(text: str, columns: int = 60) -> str:
    return "\n".join(line.rstrip() for line in drawn(text, columns).splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4 = 24 and 2**10, 5 * 6, a*b, (a)*(b)*c",
        "__init__ and _x_ and snake_case_name, __slots__",
        "f(*args, **kwargs); SELECT *, count(*) FROM t",
        "int *a, *b; (*a)*(*b); *.py and **/*.js,**/*.ts",
        "** no ** and * no * and ****",
        "0<x and y>1, vector<int>, <div>, <br/>, <!-- x -->",
        "<http://x.y> &lt;b&gt; &#65; a@b.c",
        "![alt](pic.png) and [0,1](closed) and [a][b]",
        "[a]: http://x 'y'",
        "\\* \\_ C:\\_tmp \\d+\\.\\d",
        "> a quote\n>> nested",
        "Title\n=====\nOther\n---\ntext",
        "one\n  two\n      three\n\n    four",
        "+ 456\n+ 7",
        "1. a\n1. b\n7) c\n-  d\n- e",
        "~~a~~ ==b== H~2~O",
        "#hashtag and ####### seven",
        "$5 and $6, $HOME/$USER, $1,$2 and US$5, $$ and $$",
        "escape \\( and \\), \\[ or \\]",
        "a ` b, ``like this''",
        "| a | b |\n| 1 | 2 |",
        "|x|\n---\ny",
        "P(A|B)\n---\ny",
        "\\(\\frac{1\\) and $x^{2$ and \\boxed{1",
    ],
)
def test_what_is_no_markup_is_shown_as_it_was_written(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("**bold** *it* ***both*** **a *b* c** **a *b***", "bold it both a b c a b"),
        ("**Step 1:** x, (**in**), **a**/**b**, **a**-b", "Step 1: x, (in), a/b, a-b"),
        ("**“q”** **(a)** **-5** **$x$** *'a'*", "“q” (a) -5 x 'a'"),
        ("**重点：**这是*二*。", "重点：这是二。"),
        ("## Title ##", "Title"),
        ("# C# and F#", "C# and F#"),
        ("* star", "• star"),
        ("`a*b*` and `` `x` ``", "a*b* and `x`"),
        ('[a b](http://x/(y)?z=1 "t")', 'a b (http://x/(y)?z=1 "t")'),
        ("\\$40 and 3$\\times$4 and $x$-axis", "$40 and 3×4 and x-axis"),
        ("**\\boxed{1}** and \\boxed{\\frac{\\sqrt{x^{2}}}{2}}", "▌ 1 ▐ and ▌ √(x²)/2 ▐"),
        ("So \\[ x = 2 \\].\nThen", "So\n\n  x = 2.\n\nThen"),
        ("- \\[ x \\]\n- y", "- x\n- y"),
        ("| a |\n|---|\n| $|x|$ |", "a\n───\n|x|"),
    ],
)
def test_what_is_markup_is_drawn(text: str, wanted: str) -> None:
    assert shown(text) == wanted


def test_a_wrapped_entry_goes_on_below_its_text() -> None:
    assert shown("- one two three four\n  12) five six seven", 18) == (
        "- one two three\n  four\n  12) five six\n      seven"
    )


CODE = 'def f(x):\n    """Doc.\n\n    ```\n    """\n\n    return [x,\n            -1]'


@pytest.mark.parametrize("indent", ["", "   ", "    "])
def test_a_function_can_be_copied(indent: str) -> None:
    code = "\n".join(indent + line for line in CODE.split("\n"))
    text = f"1. So:\n{indent}```python\n{code.replace('```', '~~~')}\n{indent}```\nDone."
    before, _, rest = shown(text).partition("\n\n")
    assert before == "1. So:"
    assert rest == CODE.replace("```", "~~~") + "\n\nDone."


def test_long_lines_of_code_go_on_at_the_left_edge() -> None:
    line = "x = " + " ".join("0123456789" * 2)
    assert shown(f"```py\n{line}\n```", 20) == "\n".join(
        line[at : at + 20].rstrip() for at in range(0, len(line), 20)
    )


@pytest.mark.parametrize("info", ["some words", "nolanguage", "42"])
def test_what_is_no_language_is_shown(info: str) -> None:
    assert shown(f"```{info}\nx\n```") == f"{info}\nx"


def test_the_picture_of_a_formula_gives_way_to_a_line_where_it_is_narrow() -> None:
    formula = r"\[ f(x) = \begin{cases} x & \text{if } x > 0 \\ -x & \text{else} \end{cases} \]"
    assert shown(formula, 30) == "  f(x) = ⎧ x   if x > 0\n         ⎩ -x  else"
    assert " ".join(shown(formula, 20).split()) == "f(x) = {x if x > 0; -x else}"


def test_a_table_that_just_fits_loses_no_character() -> None:
    header = ["0", "0", "two words", "twelve-marks", "0", "eight678"]
    lines = [header, ["---"] * 6, ["00", "000000", "0", "0", "eight678", "0"]]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    for columns in (57, 58, 59, 60):
        shown = drawn(text, columns)
        assert all(word in shown for cell in header for word in cell.split())
