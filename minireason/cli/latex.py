"""LaTeX -> text with Unicode in the place of commands, inside markdown.

pylatexenc parses and knows the symbols (of the three libraries tried, unicodeit leaves \\frac and \\boxed alone and breaks
\\left, and flatlatex fails on environments and on what it does not know); fractions, roots and scripts are ours.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from typing import Any

_MAX_CHARS, _MAX_OPTIONS = 4000, 8
_SCRIPTS = {
    "sup": dict(
        zip(
            "0123456789+-=()niabcdefghjklmoprstuvwxyz",
            "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻ",
            strict=True,
        )
    ),
    "sub": dict(
        zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
    ),
}
_SIGN = {"sup": "^", "sub": "_"}
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_CODE = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`)", re.DOTALL)
_MATH = re.compile(
    r"\\\[(?P<display>(?:(?!\\\[).)+?)\\\]|\$\$(?P<display2>.+?)\$\$|\\\((?P<inline>(?:(?!\\\().)+?)\\\)"
    r"|(?<![\\$\w])\$(?P<inline2>(?![\s$])[^$\n]*?(?<![\s\\]))\$(?![\d$])"
    r"|(?P<boxed>\\boxed\s*\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})",
    re.DOTALL,
)
_OPTION = re.compile(
    r"\\(?!(?:left|right|[bB]igg?[lr]?|(?:not)?in|to|q?quad|cdot|times)\b)[a-zA-Z]+\*?\s*\["
)
"""Perhaps the option of a macro. Each one that is not closed doubles the time that pylatexenc takes."""

_MONEY = re.compile(r"[\d.,]+ .*?(?<![\\a-zA-Z])[a-zA-Z]{2,}")
BOX = ("▌", "▐")


def in_markdown(text: str) -> str:
    """Markdown with the formulas in it (not those in code) made readable and safe from being taken for markdown."""
    parts = _CODE.split(text)
    return "".join(
        part if index % 2 else _MATH.sub(_readable, part) for index, part in enumerate(parts)
    )


def _readable(found: re.Match[str]) -> str:
    if found["inline2"] and _MONEY.match(found["inline2"]):
        return found[0]
    source = next(group for group in found.groups() if group is not None)
    shown = _PUNCTUATION.sub(r"\\\1", to_unicode(source))
    before, after = (
        found.string[max(0, found.start() - 1) : found.start()],
        found.string[found.end() : found.end() + 1],
    )
    if not (before.isalnum() or after.isalnum() or before == after == "*"):
        shown = re.sub("▌.*▐", r"**\g<0>**", shown)
    if found["display"] is None and found["display2"] is None:
        return shown
    return (
        "\n\n"
        + "\\\n".join(f"\u2003{line.strip()}" for line in shown.splitlines() if line.strip())
        + "\n\n"
    )


def to_unicode(formula: str) -> str:
    """One formula as text; what cannot be read comes back as it is."""
    if len(formula) > _MAX_CHARS or len(_OPTION.findall(formula)) > _MAX_OPTIONS:
        return formula
    try:
        spaced = re.sub(
            r"(\\(?!frac|dfrac|sqrt|binom|left|right|text|math)[a-zA-Z]+) +(?=[^{\[\s])",
            r"\1{} ",
            formula,
        )
        marked = re.sub(
            r"(?<!\\)([\^_])", lambda sign: f"\\mr{'sup' if sign[1] == '^' else 'sub'} ", spaced
        )
        return re.sub(" {2,}", " ", _converter()(marked)).strip()
    except Exception:  # a parser of untrusted text: whatever it stumbles over is shown unchanged
        return formula


@functools.cache
def _converter() -> Callable[[str], str]:
    """From a formula, with scripts marked as macros, to text."""
    from pylatexenc import latex2text, latexwalker, macrospec

    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)
    known = latexwalker.get_default_latex_context_db()
    known.add_context_category(
        "ours",
        prepend=True,
        macros=[macrospec.std_macro(name, takes) for name, (takes, _) in _MACROS.items()],
    )
    texts = latex2text.get_default_latex_context_db()
    shown = {name: _from_arguments(act) for name, (_, act) in _MACROS.items()} | _WORDS
    texts.add_context_category(
        "ours",
        prepend=True,
        macros=[latex2text.MacroTextSpec(name, simplify_repl=text) for name, text in shown.items()],
    )
    to_text = latex2text.LatexNodes2Text(
        latex_context=texts, math_mode="text", strict_latex_spaces=False
    )

    def convert(formula: str) -> str:
        nodes, _, _ = latexwalker.LatexWalker(
            formula, latex_context=known, tolerant_parsing=True
        ).get_latex_nodes()
        return re.sub(
            "°(?=\\S)|\\^°",
            lambda found: found[0].replace("^", ""),
            str(to_text.nodelist_to_text(nodes)),
        )

    return convert


def _from_arguments(act: Callable[..., str]) -> Callable[..., str]:
    """What pylatexenc calls for a macro, from what makes text of the texts of its arguments."""

    def replacement(node: Any, l2tobj: Any) -> str:
        arguments = node.nodeargd.argnlist if node.nodeargd else []
        return act(
            *(
                l2tobj.nodelist_to_text([argument]).strip() if argument else ""
                for argument in arguments
            )
        )

    return replacement


def _fraction(above: str, below: str) -> str:
    return f"{_grouped(above)}/{_grouped(below)}"


def _root(degree: str, body: str) -> str:
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree) or f"{_script('sup', degree)}√"
    return sign + (body if re.fullmatch(r"\w+", body) else f"({body})")


def _boxed(content: str) -> str:
    return f"{BOX[0]} {content} {BOX[1]}"


def _binomial(of: str, choose: str) -> str:
    return f"C({of}, {choose})"


def _grouped(text: str) -> str:
    """A side of a fraction, in brackets unless it is one thing."""
    return (
        text
        if re.fullmatch(
            r"[\d.]+|[√∛∜]?(?:\d+|[^\W\d][²³¹⁰⁴-⁹₀-₉]*|[^\W\d]+)|[√∛∜]?\([^()]*\)", text
        )
        else f"({text})"
    )


def _script(kind: str, text: str) -> str:
    table = _SCRIPTS[kind]
    if text in ("°", "∘"):
        return "°"
    if text in ("′", "'"):
        return "′"
    if text and all(character in table for character in text):
        return "".join(table[character] for character in text)
    return _SIGN[kind] + (text if re.fullmatch(r"\d+|.", text) else f"({text})")


_MACROS: dict[str, tuple[str, Callable[..., str]]] = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), ("{{", _fraction)),
    **dict.fromkeys(("binom", "dbinom"), ("{{", _binomial)),
    **dict.fromkeys(("boxed", "fbox"), ("{", _boxed)),
    "sqrt": ("[{", _root),
    "mrsup": ("{", functools.partial(_script, "sup")),
    "mrsub": ("{", functools.partial(_script, "sub")),
}
"""What each takes, in pylatexenc's notation, and what makes text of it."""

_WORDS = {
    **dict.fromkeys("left right big Big bigl bigr displaystyle tag".split(), ""),
    **dict.fromkeys(("circ", "degree"), "°"),
    **dict.fromkeys(("dots", "ldots"), "…"),
    "cdots": "⋯",
    "implies": "⟹",
    "iff": "⟺",
    "mid": "|",
    "quad": "  ",
    "qquad": "    ",
    "thinspace": " ",
    **{
        name: name
        for name in "sin cos tan cot sec csc log ln exp lim max min gcd lcm mod det arcsin arccos arctan".split()
    },
}
