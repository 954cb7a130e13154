"""Keys, and answers that are the same without math-verify."""

from __future__ import annotations

import sys
from fractions import Fraction
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minireason.answers import key, math_verify, same


@pytest.fixture
def _without_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_verify, "find_spec", lambda _name: None)


@pytest.mark.parametrize(
    ("wanted", "answers"),
    [
        (
            "1234",
            [
                "1,234",
                "1234.0",
                "1234.",
                "$1234$",
                "1{,}234",
                "1\\,234",
                "1,\\!234",
                "\\text{1234}",
                "\\$1,234",
                " 1234 ",
                "**1234**",
            ],
        ),
        (
            "1/2",
            [
                "0.5",
                ".50",
                "1/2",
                "2/4",
                "\\frac{1}{2}",
                "\\dfrac12",
                "\\frac{ 1 }{ 2 }",
                "50/100",
                "5e-1",
                "5 \\times 10^{-1}",
            ],
        ),
        ("-1/2", ["-0.5", "−0.5", "-\\frac{1}{2}", "\\frac{-1}{2}", "\\frac{1}{-2}"]),
        ("3/2", ["1.5", "1\\frac{1}{2}", "1 1/2", "3/2"]),
        ("50", ["50%", "50\\%", "50^\\circ", "50^{\\circ}", "50°", "50 degrees", "50 percent"]),
        ("5 cm", ["5 cm", "5\\text{ cm}", "5.0\\,\\mathrm{cm}"]),
        ("B", ["B", "(B)", "B.", "\\text{B}", "\\text{(B)}", "(b)", "b)", "(B) Paris", "B) Paris"]),
        ("paris", ["Paris", "paris.", "\\text{Paris}", '"Paris"']),
        ("(1, 2)", ["(1,2)", "( 1, 2 )", "\\left(1, 2\\right)"]),
        ("x^2+x", ["x^2+x", "x^2 + x", "$x^2+x$"]),
    ],
)
def test_one_key(wanted: str, answers: list[str]) -> None:
    assert {answer: key(answer) for answer in answers} == dict.fromkeys(answers, wanted)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12", "1 2"),
        ("1,234", "1, 234"),
        ("0.333333", "1/3"),
        ("5", "5x"),
        ("x\\frac12", "x1/2"),
        ("10^\\frac12", "10^1/2"),
        ("2\\frac12", "2 - \\frac12"),
        ("x", "X"),
        ("1/0", "2/0"),
        ("5 cm", "5 m"),
        ("5", "5 million"),
        ("", "0"),
    ],
)
def test_different_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


@given(st.fractions(max_denominator=10**6))
def test_a_key_is_the_value(value: Fraction) -> None:
    above, below = value.numerator, value.denominator
    ways = {
        f"{above}/{below}",
        f"\\frac{{{above}}}{{{below}}}",
        f"${above} / {below}$",
        f"{2 * above}/{2 * below}",
    }
    if below == 1:
        ways |= {f"{above:,}", f"{above}.00", f"{above}\\%"}
    assert {key(way) for way in ways} == {str(value)}


@given(
    st.text(alphabet="0123456789.,/- ()+x^{}\\frac$%=abAB°\n", max_size=24) | st.text(max_size=24)
)
def test_any_text_has_a_key_that_is_its_own(text: str) -> None:
    assert key(key(text)) == key(text)
    assert same(key(text), key(text))


def test_long_numbers_are_text() -> None:
    assert key("9" * 20_000) == "9" * 20_000
    assert key("1e999999999") == "1e999999999"


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("0.5", "\\frac{1}{2}", True),
        ("21+49=70", "70", True),
        ("x = 5", "5", True),
        ("5", "5 cm", True),
        ("5 apples", "5", True),
        ("5 cm", "5 m", False),
        ("5", "5 million", False),
        ("5", "5x", False),
        ("5", "5 x", False),
        ("1", "1 2", False),
        ("0.333333", "1/3", False),
        ("listen", "silent", False),
        ("AB", "BA", False),
        ("2", "3", False),
    ],
)
@pytest.mark.usefixtures("_without_math_verify")
def test_same_by_keys(one: str, other: str, wanted: bool) -> None:
    assert (same(one, other), same(other, one)) == (wanted, wanted)


@pytest.mark.usefixtures("_without_math_verify")
def test_without_the_extra_only_keys_count() -> None:
    assert not same("x(x+1)", "x^2+x")


@pytest.mark.parametrize(
    ("wanted", "answers"),
    [
        ("5 cm^2", ["5 cm^2", "5\\,\\mathrm{cm^2}", "5 \\mathrm{cm}^2", "5\\text{ cm}^2", "5 cm²"]),
        ("111/1000", ["0,111", "0.111", "0{,}111", ".111"]),
        ("61/20", ["3,05", "3.05", "3{,}05"]),
        ("30864/25", ["1.234,56", "1,234.56", "1 234.56", "1{,}234.56"]),
        ("1000", ["1 000", "1,000", "1\u202f000", "€1000", "1000 €", "£1000", "¥1000", "10^3"]),
        ("3/2", ["1½", "1 ½", "1\\tfrac12", "1,5 %"]),
        ("x^2+√2", ["x²+√2", "x^{2}+\\sqrt{2}", "$x^2 + \\sqrt 2$", "x^2＋√(2)"]),
        ("π/2", ["\\frac{\\pi}{2}", "π/2", "\\pi / 2"]),
        ("(1, ∞)", ["(1,+\\infty)", "\\left(1,\\infty\\right)", "（1，∞）", "(1; ∞)"]),
        ("\\{1, 2\\}", ["\\{2,1\\}", "\\{1, 2, 2\\}", "\\left\\{ 1; 2 \\right\\}", "｛1，2｝"]),
        ("1, 2, 3", ["3, 1, 2", "1 and 2 and 3", "1, 2, and 3", "$1$, $2$ or $3$", "1;2;3"]),
        ("-2021, 2021", ["\\pm 2021", "±2021", "2021, -2021"]),
        ("x=11", ["x = 11", "x=5+5+1=11", "x = 11 \\approx 11.0", "x＝11"]),
        ("n=1, n=2", ["n=1, 2", "n=1 or n=2", "n = 2, n = 1"]),
        ("(p, q)=(5, 2)", ["p=5, q=2", "(p,q)=(5,2)", "q=2 and p=5", "(q, p) = (2, 5)"]),
        ("5≤x", ["x \\geq 5", "x >= 5", "5 \\le x", "x≥5"]),
        ("(1/3, 9/2)", ["(\\frac13, 4.5)", "(1/3,\\frac92)"]),
        ("0.333...", ["0.333...", "0.333\\ldots", "0.333…"]),
    ],
)
def test_one_key_for_more_notation(wanted: str, answers: list[str]) -> None:
    assert {answer: key(answer) for answer in answers} == dict.fromkeys(answers, wanted)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(1,2)", "\\{1,2\\}"),
        ("(1,2)", "1,2"),
        ("\\{1,2\\}", "1,2"),
        ("(1,2)", "(2,1)"),
        ("(0,1)", "[0,1)"),
        ("x^2+y^2=1", "1"),
        ("2x + z = 1", "1"),
        ("7 = 11a+c", "11a+c"),
        ("x = 5", "y = 5"),
        ("x = 1, y = 2", "x = 2, y = 1"),
        ("x > 5", "x < 5"),
        ("1/12", "0.0833"),
        ("(1/12, 1)", "(0.083333, 1)"),
        ("32349", "32, 349"),
        ("1.22", "1, 22"),
        ("5 cm^2", "5 cm^3"),
        ("x = 5 cm", "x = 5 m"),
        ("\\frac{1}{2}", "12"),
        ("x^{12}", "x^1 2"),
        ("1,2", "3"),
    ],
)
def test_different_answers(one: str, other: str) -> None:
    assert (same(one, other), same(other, one)) == (False, False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1,22", "1.22"),
        ("0,12", "0 and 12"),
        ("f(x) = 1", "1"),
        ("|AB| = 1", "1"),
        ("A:B = 7:32", "7:32"),
        ("\\frac{NO}{BO} = \\frac12", "0.5"),
        ("\\text{Area} = 5 cm^2", "5"),
        ("x_1 = 5", "5"),
        ("x \\approx 11", "11"),
        ("x = 1/3 \\approx 0.33", "1/3"),
        ("(p,q) = (3,2)", "(3,2)"),
        ("p=3, q=2", "(3,2)"),
        ("AB=4, CD=5", "4, 5"),
        ("x=1, x=2", "1, 2"),
        ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
        ("(x,y) = (5,8) and (8,5)", "(5,8), (8,5)"),
        ("x \\in [0,1)", "[0,1)"),
        ("5 km/h", "5"),
    ],
)
@pytest.mark.usefixtures("_without_math_verify")
def test_same_as_what_says_less(one: str, other: str) -> None:
    assert (same(one, other), same(other, one)) == (True, True)


_PARTS = st.sampled_from(
    r"\frac \sqrt { } ( ) [ ] \{ \} , ; and = \pm x y AB f(x) 1 2 10 0,5 1,234 .5 - ^ _ \text{cm}"
    r" km/h % ≈ ∈ < ≥ \ge $ \boxed{ \left | : / \pi √ ² ½ ， \begin{pmatrix} \\ (A) \, ~".split()
)
_NOTATION = st.lists(_PARTS, max_size=9).map("".join) | st.text(max_size=12)


@given(_NOTATION, _NOTATION)
def test_same_is_reflexive_and_symmetric_and_says_what_keys_say(one: str, other: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(math_verify, "find_spec", lambda _name: None)
        assert same(one, one)
        assert same(one, key(one))
        assert same(one, other) == same(other, one)
        assert same(one, other) or key(one) != key(other)


@given(_NOTATION)
@example("\\sqrt\\sqrt[")
def test_a_key_of_any_notation_is_its_own(text: str) -> None:
    assert key(key(text)) == key(text)


def calls(text: str) -> int:
    """How many functions are called for the text's key."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        key(text)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("\\boxed{", "}"),
        ("\\boxed{x", "}"),
        ("\\frac{", "}{2}"),
        ("\\sqrt{", "}"),
        ("\\text{a ", "}"),
        ("(", ")"),
        ("(1,", ")"),
        ("\\{1,", "\\}"),
        ("x^{", "}"),
        ("x=", ""),
        ("1,", ""),
        ("$1", "$"),
        ("%", ""),
        ('"', "."),
    ],
)
def test_the_steps_of_a_key_grow_as_the_text(opening: str, closing: str) -> None:
    few, many = (calls(opening * levels + "5" + closing * levels) for levels in (64, 256))
    assert many < 5 * few


def test_a_hundred_thousand_nested_boxes_take_no_time() -> None:
    assert key("\\boxed{" * 100_000 + "5" + "}" * 100_000) == "5"
    assert key("{" * 100_000 + "5 cm" + "}" * 100_000) == "5 cm"
