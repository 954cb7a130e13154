from __future__ import annotations

import pytest

from minireason.reasoning.answer import boxed


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It is \\boxed{933}.", "933"),
        ("\\boxed{1} then \\boxed{ 2 }", "2"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", "\\{1, 2\\}"),
        ("\\boxed{4} and \\boxed{unfinished", "4"),
        ("\\boxed{a\\", None),
        ("no box", None),
        ("", None),
        ("\\boxed{}", ""),
    ],
)
def test_boxed(text: str, wanted: str | None) -> None:
    assert boxed(text) == wanted


def test_many_unfinished_boxes_take_no_time() -> None:
    assert boxed("\\boxed{" * 3000) is None
