from __future__ import annotations

import pytest

from minireason.chains import canonical, chain_seed


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ('{"a": 1, "b": [1, 2]}', '{"b":[1,2],  "a":1}', True),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', False),
        ('"ü"', '"\\u00fc"', True),
        ("yes", "yes", True),
        ("yes", "Yes", False),
    ],
)
def test_json_in_one_form(first: str, second: str, same: bool) -> None:
    assert (canonical(first) == canonical(second)) is same


def test_seeds_of_neighbours_differ() -> None:
    assert len({chain_seed(1, item, chain) for item in range(50) for chain in range(50)}) == 2500
