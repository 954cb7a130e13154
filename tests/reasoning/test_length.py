"""A prompt that cannot fit costs no more than one that does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason import ContextFull
from minireason.messages import Message
from minireason.reasoning.length import PIECE_CHARS, most_that_fit, surely_over
from minireason.reasoning.prompt import PromptEncoder
from tests.reasoning.test_prompt import NEW_TEMPLATE, Bytes, conversation


class Counting(Bytes):
    """A vocabulary of bytes that counts what is tokenized."""

    def __init__(self) -> None:
        self.chars = 0

    def tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        self.chars += len(text)
        return (
            list(text.encode())
            if "<" not in text
            else super().tokenize(text, parse_special=parse_special)
        )


@pytest.mark.parametrize("text", ["a" * 5_000_000, "word " * 1_000_000, "é" * 2_000_000])
def test_a_prompt_that_cannot_fit_is_refused_before_it_is_tokenized_whole(text: str) -> None:
    vocabulary = Counting()
    encoder = PromptEncoder(vocabulary, NEW_TEMPLATE)
    with pytest.raises(ContextFull, match="about") as caught:
        encoder.encode(conversation(("user", text)), n_ctx=1000)
    assert vocabulary.chars <= 2 * PIECE_CHARS
    assert caught.value.prompt_tokens == pytest.approx(len(text.encode()), rel=0.01)
    assert caught.value.n_ctx == 1000


def test_a_conversation_of_many_turns_is_refused_as_soon() -> None:
    vocabulary = Counting()
    turns = [
        turn for number in range(5000) for turn in (("user", f"q{number}"), ("assistant", "a" * 99))
    ]
    with pytest.raises(ContextFull):
        PromptEncoder(vocabulary, NEW_TEMPLATE).encode(
            conversation(*turns, ("user", "q")), n_ctx=1000
        )
    assert vocabulary.chars < 2000


@pytest.mark.parametrize("over", [-100, 0, 30])
def test_what_is_only_just_too_long_is_counted_exactly(over: int) -> None:
    encoder = PromptEncoder(Counting(), NEW_TEMPLATE)
    messages = conversation(("user", "a" * (1000 + over)))
    whole = len(encoder.encode(messages).ids)
    assert len(encoder.encode(messages, n_ctx=1000).ids) == whole
    assert encoder.count(messages, 1000) == whole


@given(
    st.lists(st.text(max_size=300), max_size=5),
    st.integers(1, 400),
)
def test_it_is_never_refused_where_it_fits(texts: list[str], most: int) -> None:
    def encode(text: str) -> bytes:
        return text.encode("utf-8", "replace")

    over = surely_over(texts, encode, most)
    if over is not None:
        assert sum(map(len, map(encode, texts))) > most
        assert over > most


def test_pieces_are_cut_before_white_space_and_leave_nothing_out() -> None:
    text = "word " * 20_000
    seen: list[str] = []

    def encode(piece: str) -> list[int]:
        seen.append(piece)
        return []

    surely_over([text], encode, 1)
    assert "".join(seen) == text
    assert all(piece.startswith(" ") for piece in seen[1:])


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_most_that_fits(limit: int, most: int) -> None:
    tried: list[int] = []

    def fits(count: int) -> bool:
        tried.append(count)
        return count <= limit

    assert most_that_fit(fits, most) == min(limit, most)
    assert max(tried, default=0) <= max(1, 2 * limit)
    assert len(tried) <= 20


def test_the_count_of_what_is_far_too_long_is_an_estimate() -> None:
    vocabulary = Counting()
    encoder = PromptEncoder(vocabulary, NEW_TEMPLATE)
    message = [Message(role="user", content="a" * 1_000_000)]
    assert encoder.count(message, 1000) == pytest.approx(1_000_000, rel=0.01)
    assert vocabulary.chars <= 2 * PIECE_CHARS
