from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minireason.engine.draft_model import RETRY_STEPS, ModelDrafter
from tests.engine.fake import FakeRunner


def follow(drafter: ModelDrafter, tokens: list[int], count: int) -> list[int]:
    """A draft once the drafter has read everything."""
    for _ in range(100):
        draft = drafter.propose(tokens, count)
        if draft or not count:
            return draft
    raise AssertionError("it never drafts")


CHANGES = st.lists(
    st.tuples(st.integers(0, 9), st.lists(st.integers(0, 50), min_size=1, max_size=30)),
    min_size=1,
    max_size=8,
)


@given(CHANGES, st.integers(1, 6))
def test_the_draft_model_follows_a_sequence_that_is_rewound(
    changes: list[tuple[int, list[int]]], count: int
) -> None:
    """The fake model says token + 1, and checks every position."""
    runner = FakeRunner(n_batch=8, slot_tokens=512)
    drafter, tokens = ModelDrafter(runner, None, 512), list[int]()
    for drop, append in changes:
        del tokens[max(0, len(tokens) - drop) :]
        tokens += append
        last = tokens[-1]
        assert follow(drafter, tokens, count) == list(range(last + 1, last + 1 + count))


def test_it_drafts_nothing_without_room() -> None:
    runner = FakeRunner(slot_tokens=32)
    drafter = ModelDrafter(runner, None, 64)
    assert drafter.chances(list(range(40)), 7)
    assert runner.slot_tokens == 64
    assert drafter.chances(list(range(60)), 7) == []


def test_chances_follow_what_was_accepted() -> None:
    drafter = ModelDrafter(FakeRunner(slot_tokens=512, n_batch=64), None, 512)
    tokens = [1]
    for _ in range(40):
        drafter.propose(tokens, 3)
        drafter.accept(0)
        tokens.append(7)
    assert drafter.chances(tokens, 1)[0] < 0.1
    for _ in range(40):
        tokens += drafter.propose(tokens, 3)
        drafter.accept(3)
    assert drafter.chances(tokens, 1)[0] > 0.9


def test_it_is_tried_again_after_a_long_time_without_a_draft() -> None:
    drafter = ModelDrafter(FakeRunner(slot_tokens=512, n_batch=64), None, 512)
    for _ in range(40):
        drafter.propose([1], 3)
        drafter.accept(0)
    chances = [drafter.chances([1], 1)[0] for _ in range(RETRY_STEPS + 1)]
    assert chances[0] == chances[-2] < 0.1 < chances[-1]
