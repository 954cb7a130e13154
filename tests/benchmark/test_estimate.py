"""What follows from decode rows: the time of a token anywhere, and of a whole thought."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.benchmark.estimate import seconds_a_token, thought_s
from minireason.benchmark.report import Decode


def row(context_tokens: int, a_token_s: float, tokens: int = 100) -> Decode:
    return Decode(context_tokens, tokens, tokens * a_token_s, 1 / a_token_s, None)


def test_a_row_stands_for_the_middle_of_its_tokens() -> None:
    rows = [row(0, 0.01), row(1000, 0.03)]
    assert seconds_a_token(rows, 50) == pytest.approx(0.01)
    assert seconds_a_token(rows, 550) == pytest.approx(0.02)
    assert seconds_a_token(rows, 1050) == pytest.approx(0.03)
    assert seconds_a_token(rows, 2050) == pytest.approx(0.05), "and on as before"


def test_a_last_row_that_is_faster_does_not_make_later_tokens_free() -> None:
    rows = [row(0, 0.03), row(1000, 0.01)]
    assert seconds_a_token(rows, 100_000) == pytest.approx(0.01)


def test_a_thought_that_gets_slower_takes_the_sum_of_its_tokens() -> None:
    rows = [row(0, 0.01, tokens=2), row(1000, 0.02, tokens=2)]
    assert thought_s(rows, 1001) == pytest.approx(1001 * 0.015, rel=0.001)


@given(st.lists(st.floats(1e-4, 10), min_size=1, max_size=4), st.integers(1, 3000))
def test_a_thought_takes_at_least_as_long_as_at_the_best_speed(
    seconds: list[float], tokens: int
) -> None:
    rows = [row(1000 * number, each) for number, each in enumerate(seconds)]
    least = tokens * min(seconds)
    assert thought_s(rows, tokens) >= least * 0.999
    assert thought_s(rows, tokens) <= thought_s(rows, tokens + 1)
