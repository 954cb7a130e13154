from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minireason.reasoning.text import StopStrings, Utf8, held_back


@given(st.text(), st.integers(1, 5))
def test_utf8_in_any_pieces(text: str, size: int) -> None:
    raw = text.encode()
    decoder = Utf8()
    assert (
        "".join(decoder.feed(raw[index : index + size]) for index in range(0, len(raw), size))
        == text
    )


def test_unfinished_character_is_dropped() -> None:
    decoder = Utf8()
    assert decoder.feed("é".encode()[:1]) == ""
    decoder.flush()
    assert decoder.feed(b"a") == "a"


def test_held_back() -> None:
    assert held_back("abc<", ("</think>",)) == 1
    assert held_back("abc</think", ("</think>",)) == 7
    assert held_back("abc", ("</think>",)) == 0
    assert held_back("xaab", ("aabaac", "bz")) == 3


@given(
    st.lists(st.sampled_from("ab<E ND"), max_size=30),
    st.sampled_from([("END",), ("END", "a<"), ("aab", "b")]),
    st.integers(1, 4),
)
def test_stop_strings_in_any_chunks(letters: list[str], stops: tuple[str, ...], size: int) -> None:
    text = "".join(letters)
    first = min((index for stop in stops if (index := text.find(stop)) >= 0), default=None)
    watcher = StopStrings(stops)
    shown = (
        "".join(watcher.feed(text[index : index + size]) for index in range(0, len(text), size))
        + watcher.flush()
    )
    assert watcher.stopped == (first is not None)
    if first is None:
        assert shown == text
    else:
        # chunks may show white space that a single feed would have dropped before the stop string,
        # nothing else
        assert shown.rstrip() == text[:first].rstrip()
        assert text.startswith(shown)
        assert watcher.matched in stops
        assert text.startswith(watcher.matched, first)


def test_white_space_before_a_stop_string_goes_with_it() -> None:
    watcher = StopStrings(("END",))
    assert watcher.feed("answer \nE") == "answer"
    assert watcher.feed("ND more") == ""
    assert watcher.flush() == ""
