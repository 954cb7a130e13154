"""What math-verify decides, and what it is not asked or not believed."""

from __future__ import annotations

import pytest

from minireason.answers import math_verify, same

pytestmark = pytest.mark.skipif(not math_verify.available(), reason="needs the extra math")


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("x²+√8", "2√2 + x^2", True),
        ("x ∈ (0, 2π)", "(0, 2\\pi)", True),
        ("\\frac{NO}{BO} = \\sqrt{8}", "2√2", True),
        ("-2 ≤ x ≤ 7", "[-2,7]", True),
        ("2x + 4y = 6", "x + 2y = 3", True),
        ("\\sqrt{8}, 1", "1 and 2\\sqrt2", True),
        ("(\\sqrt8, 1)", "(1, 2\\sqrt2)", False),
        ("(\\sqrt8, 1)", "\\{2\\sqrt2, 1\\}", False),
        ("x^2+y^2=1", "1", False),
        ("1/12", "0.0833333333", False),
        ("1 - \\frac{1}{\\mathrm{e}}", "1 + \\frac{1}{\\mathrm{e}}", False),
        ("3x - 2m", "3x - 2", False),
    ],
)
def test_with_math_verify(one: str, other: str, wanted: bool) -> None:
    assert (same(one, other), same(other, one)) == (wanted, wanted)
