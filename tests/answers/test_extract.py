"""The final answer in a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.answers import boxed, final_answer, outright_answer
from minireason.answers.boxes import MAX_CHARS


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
    ("text", "wanted"),
    [
        ("The answer to the question is 12.", "12"),
        ("The answer for part (b) is $\\frac{1}{2}$.", "$\\frac{1}{2}"),
        ("The correct choice is B.", "B"),
        ("The correct option is (C), as the others are wrong.", "(C), as the others are wrong"),
        ("**Answer**\n12", "12"),
        ("## Answer:\n12", "12"),
        ("所以答案是 5。", "5"),
        ("最终答案：5", "5"),
        ("The answer is\n\\[\n5\n\\]", "5"),
        ("**Answer**\n\nSee the table.", "See the table"),
    ],
)
def test_more_ways_to_state_it(text: str, wanted: str) -> None:
    assert outright_answer(text) == wanted.removeprefix("$")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("\\boxed{1} and \\boxed{2}", "1, 2"),
        ("\\boxed{1} or \\boxed{2} or \\boxed{3}.", "1, 2, 3"),
        ("$x = \\boxed{1}$, $y = \\boxed{2}$", "1, 2"),
        ("(a) \\boxed{1}\n(b) \\boxed{2}", "1, 2"),
        ("\\boxed{1} papers and \\boxed{2} bins", "1, 2"),
        ("\\boxed{0.5} = \\boxed{\\frac12}", "\\frac12"),
        ("\\boxed{(1,2)}, \\boxed{(2,1)}", "(1,2), (2,1)"),
        ("\\boxed{1} no, this was wrong \\boxed{2}", "2"),
        ("It is \\boxed{1}. It is \\boxed{2}.", "2"),
        ("\\boxed{1}, so \\boxed{2}", "2"),
        ("\\boxed{1}\n\n\\boxed{2}", "2"),
        ("\\boxed{\\boxed{5}}", "\\boxed{5}"),
    ],
)
def test_boxes_that_belong_together(text: str, wanted: str) -> None:
    assert final_answer(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("First \\boxed{255}. Final Answer: The final answer is $10,455$.", "10,455"),
        ("\\boxed{3}\n\n**Final Answer**\n4", "4"),
        ("\\boxed{3}. The final answer is written in the box above, as was asked for.", "3"),
        ("\\boxed{3}. So the answer is 4 apples.", "3"),
        ("**Final Answer**\n\\boxed{3}", "3"),
        ("\\boxed{3}\n**Final Answer**\n\\boxed{unfin", "3"),
    ],
)
def test_a_later_final_answer_goes_before_a_box(text: str, wanted: str) -> None:
    assert final_answer(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The largest $n$ is 34.", "34"),
        ("Final Answer: The largest $n$ is 34.", "34"),
        ("Final Answer: Jane started 3 hours ago.", "3"),
        ("Therefore $x \\geq 5$ is the solution.", "x \\geq 5"),
        ("So the pair $(x, y)$ is $(7, 6)$.", "(7, 6)"),
        ("Therefore, there are 12 ways to do it. I hope it is correct.", "12"),
        ("We add.\n\n\\[\n9\n\\]", "9"),
        ("It is 1,000.99m².", "1,000.99 m²"),
        ("42", "42"),
        ("$\\frac12$", "\\frac12"),
        ("The roots are $x = 1$ and $x = 2$.", None),
        ("The roots are x = 1 and x = 2.", None),
        ("- x = 5\n- y = 6", None),
        ("I can do sums. Try: What is 12 + 30?", None),
        ("Heat the oven to 200 degrees.", None),
        ("We have 3 apples and 4 pears.", None),
        ("He was born in 1952 in Bonn.", None),
        ("So it is:\n```\nx = 5\n```", None),
    ],
)
def test_the_value_of_the_last_sentence(text: str, wanted: str | None) -> None:
    assert final_answer(text) == wanted


def test_the_last_sentence_says_nothing_outright() -> None:
    assert outright_answer("The largest $n$ is 34.") is None


_PARTS = st.sampled_from(
    [
        *r"\boxed{|}|{|answer| is |Final |:|**|12|$|\[|\]|. |and|, |```|答案|(A)".split("|"),
        *r"\|option B|=".split("|"),
        "\n",
    ]
)


@given(st.lists(_PARTS, max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_has_an_answer_or_none(text: str) -> None:
    answer = final_answer(text)
    assert answer is None or 0 < len(answer) <= MAX_CHARS
    assert outright_answer(text) in (None, answer)


@pytest.mark.parametrize("start", ["\\boxed{", "**Final Answer**\n", "The answer is ", ""])
def test_what_is_too_long_is_no_answer(start: str) -> None:
    assert final_answer(f"{start}{'1' * (MAX_CHARS + 1)}}}") is None


@pytest.mark.parametrize(
    "part",
    [
        "\\boxed{",
        "\\boxed{1} and ",
        "the answer is not ",
        "\n# *",
        "```\n",
        "$x",
        "1. ",
        "(",
        "\\[",
    ],
)
def test_long_texts_take_no_time(part: str) -> None:
    assert final_answer(part * 20_000) in (None, "1", "x")
