"""Nothing that a model wrote is missing on the screen."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.cli.seen import drawn, in_order, letters, on_screen, written

ANSWERS = {
    path.stem: path.read_text("utf-8") for path in Path(__file__).parent.glob("answers/*.md")
}
WIDTHS = (40, 60, 80, 120)
_TABLE_ROW = re.compile(r"^\|.*\n", re.MULTILINE)

ON_SCREEN = sorted(ANSWERS.keys() - {"joined_characters"})
"""Those without joiners of width 0, at which the terminal of the tests stops drawing."""

some_answer = pytest.mark.parametrize("name", sorted(ANSWERS))


def test_there_are_answers() -> None:
    assert len(ANSWERS) >= 30


@some_answer
@pytest.mark.parametrize("columns", WIDTHS)
def test_all_letters_and_digits_of_an_answer_are_seen_in_their_order(
    name: str, columns: int
) -> None:
    text = ANSWERS[name]
    picture = drawn(text, columns)
    assert max(map(cell_len, picture.splitlines())) <= columns
    shown = letters(picture)
    assert in_order(written(_TABLE_ROW.sub("", text)), shown)
    assert not Counter(written(text)) - Counter(shown), "of tables, whose cells may be wrapped"
    if not re.search(r"[\\$]|^\||```markdown", text, re.MULTILINE):
        assert shown == written(text), "and nothing else"


@pytest.mark.parametrize("name", ON_SCREEN)
def test_an_answer_looks_the_same_however_it_comes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ANSWERS[name]
    whole = on_screen([text], 60, monkeypatch)
    assert on_screen(re.findall(r"(?s).{1,37}", text), 60, monkeypatch) == whole


@settings(max_examples=30)
@given(st.sampled_from(ON_SCREEN), st.floats(0, 1), st.sampled_from(WIDTHS))
def test_all_is_seen_while_it_is_written(name: str, share: float, columns: int) -> None:
    """On a terminal that is tall enough: of what is taller the end alone is drawn so far."""
    text = ANSWERS[name][: round(share * len(ANSWERS[name]))]
    with pytest.MonkeyPatch.context() as monkeypatch:
        shown = on_screen([text], columns, monkeypatch, rows=200, ended=False)
    assert not Counter(written(text)) - Counter(letters("".join(shown)))


@pytest.mark.parametrize(("columns", "rows"), [(30, 5), (10, 2), (80, 5)])
def test_on_a_small_terminal_nothing_is_drawn_twice(
    columns: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [f"{number:04}" for number in range(100)]
    text = f"{' '.join(numbers[:40])}\n\n```\n" + "\n".join(numbers[40:]) + "\n```\n"
    shown = on_screen(re.findall("(?s).{1,7}", text), columns, monkeypatch, rows=rows)
    assert " ".join(shown).split() == numbers


SCRAPS = [
    *(
        "a",
        "b7",
        "word",
        "3.5",
        "été",
        "漢字",
        "한국",
        "🙂",
        "x_1",
        "__init__",
        "2*3*4",
        "C#",
        "vector<int>",
    ),
    *(" ", " ", " ", "\n", "\n", "\n\n", "\t", "    ", "\r\n", "\u3000"),
    *(
        "*",
        "**",
        "***",
        "_",
        "__",
        "~~",
        "`",
        "``",
        "```",
        "~~~",
        "````",
        "```zz\n",
        "#",
        "# ",
        "## ",
    ),
    *("- ", "* ", "+ ", "1. ", "12) ", "> ", "---", "===", "|", "| a | b |\n", "\\", "\\\\", "\\*"),
    *("<b>", "</b>", "<br/>", "<!--", "-->", "&lt;", "&amp;", "<http://x.y>", "www.x.y", "a@b.c"),
    *(
        "[",
        "]",
        "(",
        ")",
        "[t](",
        "http://x/",
        "![i](u)",
        "[r]: http://z",
        "[^1]",
        "!",
        ":",
        ".",
        ",",
    ),
    *("$", "$$", "$x$", "$5", "{", "}", "^", "&", "%", "'", '"', "\\(", "\\)", "\\[", "\\]"),
    *("\\frac", "\\frac{1}{2}", "\\sqrt", "\\boxed{", "\\foo", "\\text{", "\\begin{cases}"),
    *(
        "\\end{cases}",
        "\\begin{align}",
        "\\end{align}",
        "\\left.",
        "\\right|",
        "\\pmod{5}",
        "\\overline{3}",
    ),
]
"""Scraps of answers, hostile ones among them."""


@settings(max_examples=200)
@given(st.lists(st.sampled_from(SCRAPS), max_size=40).map("".join), st.sampled_from(WIDTHS))
def test_all_letters_and_digits_of_any_text_are_seen_in_their_order(
    text: str, columns: int
) -> None:
    assert in_order(written(text), letters(drawn(text, columns)))


@settings(max_examples=200)
@given(st.text(max_size=80), st.sampled_from(WIDTHS))
def test_all_letters_and_digits_of_any_characters_are_seen(text: str, columns: int) -> None:
    assert in_order(letters(text), letters(drawn(text, columns)))


words = st.text("abcdefghij0123456789 ", min_size=1, max_size=30).filter(str.strip)


@settings(max_examples=60)
@given(st.integers(1, 6), st.data(), st.sampled_from(WIDTHS))
def test_all_cells_of_a_table_are_seen(count: int, data: st.DataObject, columns: int) -> None:
    row = st.lists(words, min_size=count, max_size=count)
    header, *rows = data.draw(st.lists(row, min_size=2, max_size=4))
    lines = [header, ["---"] * count, *rows]
    text = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    shown = drawn(text, columns)
    if "│" in shown:
        lines = [re.split("[│┼]", line) for line in shown.splitlines()]
        seen = [letters("".join(column)) for column in zip(*lines, strict=True)]
        assert seen == [letters("".join(column)) for column in zip(header, *rows, strict=True)]
    elif count == 1:
        assert letters(shown) == letters("".join(map("".join, [header, *rows])))
    else:  # row by row, each cell behind its header
        pairs = [pair for cells in rows for pair in zip(header, cells, strict=True)]
        assert letters(shown) == letters("".join(map("".join, pairs)))
