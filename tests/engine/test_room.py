from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minireason.engine.room import CacheRoom, CacheShape


def room(
    n_ctx: int = 8192, max_tokens: int = 8192, spare: int = 2048, slots: int = 16
) -> CacheRoom:
    return CacheRoom(n_ctx, max_tokens, min(1024, n_ctx), spare, slots)


def test_one_sequence_doubles_until_the_next_move_would_not_fit() -> None:
    sizes = [room().shape(1, tokens) for tokens in (1, 1024, 1025, 2049, 8192)]
    assert sizes == [(1, 1024), (1, 1024), (1, 2048), (1, 8192), (1, 8192)]


def test_slots_come_in_powers_of_two_as_far_as_they_fit() -> None:
    shapes = [room(spare=9000).shape(sequences, 1000) for sequences in (2, 3, 5, 8)]
    assert shapes == [(2, 1024), (4, 1024), (8, 1024), (8, 1024)]
    assert room().shape(5, 1500) == (5, 1536), "eight would have 1,024 each"


def test_what_does_not_fit_has_no_shape() -> None:
    assert room().shape(1, 8193) is None
    assert room().shape(9, 1000) is None
    assert room(slots=4).shape(5, 10) is None


def test_with_memory_to_spare_slots_go_on_doubling() -> None:
    wide = room(131_072, 262_144, spare=162_144)
    assert wide.shape(8, 5000) == (8, 8192)
    assert wide.shape(8, 9000) == (8, 16_384)
    assert wide.shape(1, 40_000) == (1, 65_536)


@given(
    n_ctx=st.integers(64, 20_000),
    factor=st.integers(1, 16),
    spare=st.integers(0, 20_000),
    sequences=st.integers(1, 16),
    tokens=st.integers(1, 20_000),
)
def test_a_shape_has_the_room_that_was_asked_for_and_no_more_than_there_is(
    n_ctx: int, factor: int, spare: int, sequences: int, tokens: int
) -> None:
    this = room(n_ctx, factor * n_ctx, spare=spare)
    shape = this.shape(sequences, tokens)
    if shape is None:
        assert tokens > this.slot_limit(sequences)
        return
    assert isinstance(shape, CacheShape)
    assert shape.n_slots >= sequences
    assert tokens <= shape.slot_tokens <= n_ctx
    assert shape.tokens <= this.max_tokens
