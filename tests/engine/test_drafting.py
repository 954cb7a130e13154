from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minireason.engine.drafting import (
    CATCH_UP_TOKENS,
    COMPARED_TOKENS,
    MIN_MATCH_TOKENS,
    LookupDrafter,
)

FEW_WORDS = st.integers(0, 2)
TEXT = st.lists(FEW_WORDS, max_size=60)


def longest_match(tokens: list[int]) -> int:
    """How many of the last tokens came before, by looking everywhere."""
    best = 0
    for end in range(len(tokens) - 1):
        length = 0
        while length <= end and tokens[end - length] == tokens[-1 - length]:
            length += 1
        best = max(best, length)
    return best if best >= MIN_MATCH_TOKENS else 0


def everywhere() -> LookupDrafter:
    return LookupDrafter(candidates=1000)


@given(TEXT)
def test_the_longest_match_is_found(tokens: list[int]) -> None:
    drafter = everywhere()
    for end in range(1, len(tokens) + 1):
        drafter.chances(tokens[:end], 4)
        longest = longest_match(tokens[:end])
        assert drafter.match[1] == longest <= COMPARED_TOKENS
        last, length = drafter.match
        matched = tokens[last + 1 - length : last + 1]
        assert matched == tokens[end - length : end]


@given(TEXT, st.integers(1, 9))
def test_what_followed_the_match_is_drafted_and_a_repetition_goes_on(
    tokens: list[int], count: int
) -> None:
    drafter = everywhere()
    draft = drafter.propose(tokens, count)
    last, length = drafter.match
    assert len(draft) == (count if length else 0)
    whole = tokens + draft
    assert draft == whole[last + 1 : last + 1 + len(draft)]


CHANGES = st.lists(st.tuples(st.integers(0, 8), TEXT, st.booleans()), max_size=8)


@given(CHANGES)
def test_a_sequence_that_was_rewound_drafts_like_a_new_one(
    changes: list[tuple[int, list[int], bool]],
) -> None:
    drafter, tokens = everywhere(), list[int]()
    for drop, append, look in changes:
        keep = max(0, len(tokens) - drop)
        drafter.rewind(keep)
        tokens[keep:] = append
        if look:
            drafter.chances(tokens, 1)
    draft = drafter.propose(tokens, 5)
    last, length = drafter.match
    assert length == (longest_match(tokens) if tokens else 0)
    assert draft == (tokens + draft)[last + 1 : last + 1 + len(draft)]


@given(TEXT, st.integers(0, 60))
def test_a_sequence_that_is_shorter_than_it_was_is_indexed_as_it_is(
    tokens: list[int], keep: int
) -> None:
    drafter = everywhere()
    drafter.chances(tokens, 1)
    drafter.propose(tokens[:keep], 3)
    assert drafter.match[1] == (longest_match(tokens[:keep]) if tokens[:keep] else 0)


def test_a_long_prompt_is_indexed_over_several_steps_and_nothing_drafted_until_then() -> None:
    tokens = list(range(CATCH_UP_TOKENS)) * 2 + [0, 1, 2]
    drafter = LookupDrafter()
    assert drafter.propose(tokens, 3) == drafter.propose(tokens, 3) == []
    assert drafter.propose(tokens, 3) == [3, 4, 5]


def test_chances_follow_what_came_true() -> None:
    verse = [5, 6, 7, 8, 9, 10, 11, 12]
    always, never = LookupDrafter(), LookupDrafter()
    always.chances(verse * 40, 1)
    tokens = list[int]()
    for other in range(100, 300):
        tokens += [1, 2, 3, other]
    never.chances(tokens, 1)
    right = always.chances(verse * 40, 4)
    wrong = never.chances([*tokens, 1, 2, 3], 4)
    assert right == sorted(right)
    assert right[0] > 0.9 > 0.1 > wrong[0]


def test_what_a_prompt_repeats_says_nothing_about_a_reply() -> None:
    prompt = list(range(20)) * 20
    drafter, untold = LookupDrafter(len(prompt)), LookupDrafter()
    drafter.chances(prompt, 1)
    untold.chances([7, 8, 9, 7, 8, 9], 1)
    long, short = drafter.chances(prompt, 1), untold.chances([7, 8, 9, 7, 8, 9], 1)
    assert 0.9 < long[0] < 0.97
    assert 0.3 < short[0] < 0.5
