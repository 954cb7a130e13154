"""What the end of a `with` block closes."""

from __future__ import annotations

import pytest

from minireason.closing import Closing


class Door(Closing):
    """Counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_with_block_closes_it() -> None:
    with Door() as door:
        assert not door.closed
    assert door.closed == 1


def test_an_error_closes_it_and_goes_on() -> None:
    door = Door()
    with pytest.raises(KeyboardInterrupt), door:
        raise KeyboardInterrupt
    assert door.closed == 1
