from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.reasoning import verify
from minireason.reasoning.answer import boxed, final_answer, key, same


@pytest.fixture
def _without_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "find_spec", lambda _name: None)


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


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("So the answer is 7.\n\n\\boxed{42}", "42"),
        ("**Final Answer**\n\n42", "42"),
        ("### Final Answer\n7 apples", "7 apples"),
        ("**Final Answer:** 42", "42"),
        ("The final answer is $42$.", "42"),
        ("First the answer is 3. No: the answer is 4. Hope it helps.", "4"),
        ("The answer is 3.5 because of that.", "3.5"),
        ("My answer = 1,234.", "1,234"),
        ("The answer is \\(\\frac12\\).", "\\frac12"),
        ("Answer: B", "B"),
        ("The answer is (B) Paris.", "(B) Paris"),
        ("B", "B"),
        ("(C)", "C"),
        ("**D**", "D"),
        ("B) Paris", "B"),
        ("I choose option (D), as the others are wrong.", "D"),
        ("The answer is:\n```python\ndef f(x):\n    return x + 1\n```\nIt adds one.", None),
        ("**Final Answer**\n\n~~~\nprint('the answer is 42')", None),
        ("The answer is 5.\n```python\nprint('the answer is 6')\n```", "5"),
        ("A train leaves at noon.", None),
        ("I think so.", None),
        ("The answer is not known.", None),
        ("An answer is\n\n", None),
        ("\\boxed{}", None),
        ("", None),
    ],
)
def test_final_answer(text: str, wanted: str | None) -> None:
    assert final_answer(text) == wanted


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
