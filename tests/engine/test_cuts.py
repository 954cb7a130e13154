from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.engine.cuts import LONGEST, pieces

PARTS = st.sampled_from(
    ["a", "B", "7", " ", "\n", "/", "!", ".", "漢", "。", "\u3000", "'", "<think>"]
)


@given(st.lists(st.tuples(PARTS, st.integers(1, 1500)), max_size=6))
def test_every_run_is_bounded_and_nothing_is_lost(runs: list[tuple[str, int]]) -> None:
    text = "".join(part * count for part, count in runs)
    parts = pieces(text, whole=["<think>"])
    assert "".join(parts) == text
    for piece in parts:
        for run in (r"\s+", r"\S+", r"[\r\n/]+", r"[^\W\d_]+", r"[^\W\d_ ]+( [^\W\d_]+)*"):
            longest = max((len(match.group()) for match in re.finditer(run, piece)), default=0)
            assert longest <= LONGEST + len("<think>"), run
    assert sum(piece.count("<think>") for piece in parts) == text.count("<think>")


def test_ordinary_text_is_not_cut() -> None:
    line = "Prose with digits (3.14), dots ... and     spaces; then https://example.org/a/b?c=d"
    text = f"{line}\n\n" * 500 + "=" * 200 + "\n" * 50
    assert pieces(text) == [text]


def test_long_runs_are_cut_at_the_ends_of_words() -> None:
    text = "他买了12个苹果，" * 1000
    parts = pieces(text)
    assert "".join(parts) == text
    assert all(len(piece) > LONGEST * 0.9 for piece in parts[:-1])
    assert all(after[0] in "1，" for _, after in pairwise(parts))


@pytest.mark.parametrize("kind", ["qwen2", "llama-bpe", "smollm", "deepseek-r1-qwen"])
def test_nothing_is_cut_for_kinds_that_take_words_of_any_length(kind: str) -> None:
    text = "a" * 100_000
    assert pieces(text, kind) == [text]
    assert len(pieces(text, "a kind that is not known")) == 100
