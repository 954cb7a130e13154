"""What is measured of models with short and long contexts."""

from __future__ import annotations

import pytest

from minireason.benchmark.steps import DECODE_LIMIT, Context, SideBySide, contexts, in_order


@pytest.mark.parametrize(
    ("n_ctx", "lengths"),
    [
        (131_072, [0, 512, 1024, 4096, 8192]),
        (8192, [0, 512, 1024, 4096, 7936]),
        (4096, [0, 512, 1024, 3840]),
        (1024, [0, 512, 768]),
        (64, [0]),
    ],
)
def test_contexts_as_far_as_the_model_goes(n_ctx: int, lengths: list[int]) -> None:
    steps = contexts(n_ctx)
    assert [step.tokens for step in steps] == lengths
    assert all(step.tokens + DECODE_LIMIT.tokens < max(n_ctx, 131) for step in steps)
    assert all(step.decode or step.prefill for step in steps)


def test_chains_come_before_long_contexts_and_double() -> None:
    steps = in_order(32_768, room=11)
    chains = [step for step in steps if isinstance(step, SideBySide)]
    assert [step.chains for step in chains] == [2, 4, 8]
    assert {step.tokens for step in chains} == {1024}
    after = steps[steps.index(chains[-1]) + 1 :]
    assert [step.tokens for step in after if isinstance(step, Context)] == [4096, 8192]


def test_no_chains_where_there_is_room_for_one() -> None:
    assert not any(isinstance(step, SideBySide) for step in in_order(32_768, room=1))
