"""Chains as hypothesis draws them."""

from __future__ import annotations

from hypothesis import strategies as st

from minireason.evaluation.score import Sample


def sample(group: int | None, tokens: int = 10, confidence: float | None = None) -> Sample:
    """A chain whose answer is right if it is in group 0."""
    return Sample(group, group == 0, group == 0, tokens, confidence)


CHAINS = st.lists(
    st.builds(
        sample,
        st.one_of(st.none(), st.integers(0, 2)),
        st.integers(1, 60),
        st.one_of(st.none(), st.floats(0, 20)),
    ),
    min_size=1,
    max_size=16,
)
