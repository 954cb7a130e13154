from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.cli.terminal.latex.convert import readable
from tests.cli.seen import drawn


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
    ],
)
def test_formulas(formula: str, wanted: str) -> None:
    assert readable(formula) == wanted


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (r"\neg p \lor q \land r", "¬p ∨ q ∧ r"),
        (r"a \lt b \gt c", "a < b > c"),
        (r"7 \bmod 3, a \equiv b \pmod{5}", "7 mod 3, a ≡ b (mod 5)"),
        (r"0.\overline{3} = \frac13", "0.3\u0305 = 1/3"),
        (r"\|x\| = \left\|x\right\|", "‖x‖ = ‖x‖"),
        (r"\triangle ABC", "△ABC"),
        (r"A \xrightarrow{f} B", "A —f→ B"),
        (r"\begin{vmatrix} a & b \\ c & d \end{vmatrix}", "|a, b; c, d|"),
        (r"\begin{pmatrix} 1 \\[2pt] 2 \end{pmatrix}", "(1; 2)"),
        (r"\begin{cases} 1 & x > 0 \\ 0 \end{cases}", "{1 x > 0; 0}"),
        (r"\begin{align*} a &= b \\ &= c \end{align*}", "a = b; = c"),
        (r"\boxed{1} \text{ and } \boxed{2}", "▌ 1 ▐ and ▌ 2 ▐"),
        (r"\left.x\right|_0^1, \left\{a\right\}", "x|₀¹, {a}"),
        (r"\overset{?}{=} \not= \stackrel{\text{def}}{=}", "≟ ≠ =ᵈᵉᶠ"),
        (r"\hat{x}, \vec{v}, \vec{AB}", "x̂, v⃗, vec(AB)"),
        (r"\mathbb{R}^n, \mathcal{L}, \mathrm{H_2O}", "ℝⁿ, ℒ, H₂O"),
        (r"2\sin\theta\cos\theta, x\log_2 8", "2 sin θ cos θ, x log₂ 8"),
        (r"2\pi r + \partial f", "2πr + ∂f"),
        (r"\text{costs $5 and $6, } \text{for $x^2$}", "costs $5 and $6, for x²"),
        (r"50% \% x'' x^{2}^{3}", "50% % x′′ x²^(3)"),
    ],
)
def test_more_formulas(formula: str, wanted: str) -> None:
    assert readable(formula) == wanted


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (r"\frac{x}{y}z", "(x/y)z"),
        (r"\frac12x", "(1/2)x"),
        (r"\frac{1}{2}(a+b)", "(1/2)(a+b)"),
        (r"\frac{a}{b}\frac{c}{d}", "(a/b)(c/d)"),
        (r"\frac{d}{dx} f", "(d/dx) f"),
        (r"\frac{1}{2}^2", "(1/2)²"),
        (r"\sin\frac{x}{2}", "sin(x/2)"),
        (r"x\frac{1}{2}", "x(1/2)"),
        (r"2\frac{1}{2}", "2 1/2"),
        (r"2\frac{a}{b}", "2(a/b)"),
        (r"a/\frac{b}{c}", "a/(b/c)"),
        (r"\frac{x}{yz}", "x/(yz)"),
        (r"\frac{\frac{a}{b}}{c}", "(a/b)/c"),
        (r"-\frac{1}{2} + \frac{3}{4} = \frac14", "-1/2 + 3/4 = 1/4"),
        (r"\frac{\text{distance}}{\text{time}}", "distance/time"),
    ],
)
def test_a_fraction_can_be_read_in_one_way_only(formula: str, wanted: str) -> None:
    assert readable(formula) == wanted


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (r"\foo", r"\foo"),
        (r"\foo x + \bar2{y}", r"\foo x + 2̄y"),
        (r"\foo{x^2}{\alpha}z", r"\foo{x²}{α}z"),
        (r"\label{eq:1} \color{red} x", r"\label{eq:1} \color{red} x"),
        (r"\begin{weird} a & b \\ c \end{weird}", r"\begin{weird} a b; c \end{weird}"),
        (r"\newcommand{\x}{y} % comment", r"\newcommand{\x}{y} % comment"),
    ],
)
def test_what_nobody_knows_keeps_its_name(formula: str, wanted: str) -> None:
    assert readable(formula) == wanted


def lines(formula: str) -> list[str]:
    """A formula that has lines of its own."""
    return (readable(formula, display=True) or "").splitlines()


def test_rows_stand_below_each_other_where_a_formula_has_lines_of_its_own() -> None:
    cases = r"|x| = \begin{cases} x & x > 0 \\ 0 & x = 0 \\ -x & x < 0 \end{cases}."
    assert lines(cases) == [
        "|x| = ⎧ x   x > 0",
        "      ⎨ 0   x = 0",
        "      ⎩ -x  x < 0.",
    ]
    product = r"\begin{pmatrix}1&2\\3&4\end{pmatrix}\begin{bmatrix}x\\y\end{bmatrix} = 0"
    assert lines(product) == [
        "⎛1  2⎞",
        "⎝3  4⎠⎡x⎤",
        "      ⎣y⎦ = 0",
    ]
    aligned = r"\begin{align} 2x + 3 &= 7 \\ x &= 2 \end{align}"
    assert lines(aligned) == ["2x + 3 = 7", "     x = 2"]


@pytest.mark.parametrize(
    "formula",
    [
        "\\frac{",
        "\\sqrt[" * 40,
        "\\[" * 20_000,
        "{" * 9000,
        "\\text{" * 3000,
        "\\frac" * 3000,
        "\\text{$a" * 2000,
        "\\begin{align}" * 1000,
        "x" * 30_000,
    ],
)
def test_what_cannot_be_read(formula: str) -> None:
    assert readable(formula) is None


@settings(max_examples=60)
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
    assert drawn("$" + "".join(parts) + "$", 40)
    assert isinstance(readable("".join(parts)), str | None)
