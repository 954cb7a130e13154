from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.cli.latex import in_markdown, to_unicode


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (r"\boxed{933}", "▌ 933 ▐"),
        (r"\boxed{\frac{\sqrt{3}}{2}}", "▌ √3/2 ▐"),
        (r"\frac{a+b}{2c}", "(a+b)/(2c)"),
        (r"\dfrac{1}{3}", "1/3"),
        (r"\sqrt{x^2+y^2}", "√(x²+y²)"),
        (r"\sqrt[3]{27}", "∛27"),
        (r"\sum_{i=1}^{n} i^2 = \frac{n(n+1)(2n+1)}{6}", "∑ᵢ₌₁ⁿ i² = (n(n+1)(2n+1))/6"),
        (r"\alpha + \beta \leq \Gamma", "α + β ≤ Γ"),
        (r"a \times b \cdot c \neq d", "a × b · c ≠ d"),
        (r"e^{i\pi}+1=0", "e^(iπ)+1=0"),
        (r"90^\circ", "90°"),
        (r"\text{speed} = 5\ \text{m/s}", "speed = 5 m/s"),
        (r"\lim_{x \to 0} \frac{\sin x}{x}", "lim_(x → 0) (sin x)/x"),
        (r"\binom{n}{k}", "C(n, k)"),
        (r"\frac{", r"\frac{"),
        ("{" * 3000, "{" * 3000),
    ],
)
def test_formulas(formula: str, wanted: str) -> None:
    assert to_unicode(formula) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r"The answer is \boxed{13}.", "The answer is **▌ 13 ▐**."),
        ("Costs $5 and $6, or 5$ and 6$.", "Costs $5 and $6, or 5$ and 6$."),
        (r"\(a*b\) and $x^2$", r"a\*b and x²"),
        (r"`$x^2$` stays", r"`$x^2$` stays"),
        ("```\n\\boxed{1}\n", "```\n\\boxed{1}\n"),
        (r"**\boxed{1}**", "**▌ 1 ▐**"),
        (r"\[ a = b \]", "\n\n\u2003a \\= b\n\n"),
    ],
)
def test_formulas_in_markdown(text: str, wanted: str) -> None:
    assert in_markdown(text) == wanted


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                r"\frac",
                r"\sqrt",
                r"\boxed",
                "{",
                "}",
                "^",
                "_",
                "[",
                "]",
                "x",
                "\\",
                "$",
                "&",
                r"\begin{",
                "%",
                " ",
            ]
        ),
        max_size=25,
    )
)
def test_nothing_breaks_it(parts: list[str]) -> None:
    in_markdown("$" + "".join(parts) + "$")
    assert isinstance(to_unicode("".join(parts)), str)
