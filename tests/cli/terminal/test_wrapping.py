"""Text wrapped at its words: as a whole, and as it comes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from minireason.cli.terminal.thinking import LANDING, Thinking
from minireason.cli.terminal.wrapping import WordWrap, wrapped
from tests.cli.seen import lines_of, stand_in

FLAGS = "CPU : " + " | ".join(f"{name} = 1" for name in ("SSE3", "AVX2", "AVX512_VNNI", "FMA"))


def streamed(pieces: list[str], width: int) -> str:
    words = WordWrap()
    return "".join(words.feed(piece, width) for piece in pieces) + words.flush(width)


def test_a_line_is_broken_at_spaces_and_goes_on_indented() -> None:
    assert wrapped("  here: fits, with a lot of words", 14, "    ") == [
        "  here: fits,",
        "    with a lot",
        "    of words",
    ]
    assert wrapped("a\tb", 14) == ["a       b"]
    assert wrapped("short", 14) == ["short"]
    assert wrapped("", 14) == [""]


def test_what_stands_between_bars_or_dots_stays_together() -> None:
    assert wrapped(FLAGS, 28, "  ") == [
        "CPU : SSE3 = 1 | AVX2 = 1 |",
        "  AVX512_VNNI = 1 | FMA = 1",
    ]
    assert wrapped("12 tokens · 3.5 tokens/s", 20) == ["12 tokens ·", "3.5 tokens/s"]


def test_a_word_that_is_too_wide_is_not_broken() -> None:
    word = "a" * 64
    assert wrapped(f"the sha256 is {word} of it", 30) == ["the sha256 is", word, "of it"]
    assert wrapped(f"sha256 {word}", 30) == [f"sha256 {word}"], "little stands before it"
    assert wrapped(word, 30) == [word]


@example("a aaa漢", 4)
@example(" aaaaaaaaaaaaaaaa 漢", 19)
@given(st.text("ab漢 |·-", max_size=80), st.integers(1, 30))
def test_nothing_is_lost_and_lines_fit(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    of_words = [line.rstrip() for line in lines if " " in line.strip()]
    too_wide = [line for line in of_words if cell_len(line) > width]
    assert all(cell_len(line.split()[-1]) > width for line in too_wide), "but for one word"


@given(st.lists(st.text("ab漢 \n\t", max_size=20), max_size=20), st.integers(2, 30))
def test_what_comes_in_pieces_loses_nothing_and_lines_fit(pieces: list[str], width: int) -> None:
    text = "".join(pieces)
    shown = streamed(pieces, width)
    assert shown == streamed(list(text), width), "however it comes"
    assert "".join(shown.split()) == "".join(text.split())
    for line in shown.expandtabs(8).split("\n"):
        too_wide = any(cell_len(word) > width for word in line.split())
        assert too_wide or cell_len(line) <= width


def test_words_are_not_broken_as_they_come() -> None:
    pieces = ["One w", "ord and an", "other,  two\n  set", " in, 漢字漢字漢字"]
    assert streamed(pieces, 12) == "One word and\nanother,\ntwo\n  set in, 漢\n字漢字漢字"


def test_a_tab_goes_to_the_next_stop() -> None:
    assert streamed(["a\tb", "\tc\n\td"], 40) == f"a{' ' * 7}b{' ' * 7}c\n{' ' * 8}d"


def test_a_long_word_is_shown_before_it_ends() -> None:
    words = WordWrap()
    assert words.feed("see " + "x" * 9, 8) == "see\n" + "x" * 9
    assert words.feed("xyz", 8) == "xyz"
    assert words.feed(" on", 8) + words.flush(8) == " on"


@pytest.mark.parametrize("where", ["show", "stderr"])
def test_a_thought_is_wrapped_at_words_as_it_comes(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = stand_in(30, 10, monkeypatch)
    thought = "First add the tens, then the ones, and carry what is left over.\n  347 + 586"
    thinking = Thinking(where)
    for start in range(0, len(thought), 5):
        thinking.write(thought[start : start + 5])
    thinking.landing()
    thinking.write(" = 933")
    thinking.end()
    assert [line for line in lines_of(screen) if line] == [
        "First add the tens, then the",
        "ones, and carry what is left",
        "over.",
        "  347 + 586",
        f"({LANDING})",
        " = 933",
    ]
