"""Symbols that LaTeX and Unicode both have, and the text with one form of each."""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPT = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_SUBSCRIPT = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙᵢ", "0123456789+-()ni", strict=True))
_RAISED = re.compile(f"[{''.join(_SUPERSCRIPT)}]+")
_LOWERED = re.compile(f"[{''.join(_SUBSCRIPT)}]+")
_VULGAR = re.compile("[¼½¾⅐-⅞]")
_BEFORE = str.maketrans(
    {"｛": "\\{", "｝": "\\}", "。": ".", "、": ",", "…": "...", "º": "°", "№": ""}
)
_AFTER = str.maketrans(
    {
        **dict.fromkeys("€£¥\u200b\u200c\u200d\u2060\ufeff\u00ad\u2061\u2062"),
        **dict.fromkeys("−–‒‐‑", "-"),
        **dict.fromkeys("⁄∕÷", "/"),
        **dict.fromkeys("⋅·∙∗×", "*"),
        **dict.fromkeys("⩽≦", "≤"),
        **dict.fromkeys("⩾≧", "≥"),
        **dict.fromkeys("≃≅", "≈"),
        "ϕ": "φ",
        "ϵ": "ε",
        "′": "'",
    }
)

_NAMES = {
    "∞": "infty",
    "≤": "le leq leqslant",
    "≥": "ge geq geqslant",
    "≠": "ne neq",
    "<": "lt",
    ">": "gt",
    "≈": "approx simeq cong",
    "∈": "in",
    "∪": "cup",
    "∩": "cap",
    "∖": "setminus backslash",
    "±": "pm",
    "∓": "mp",
    "*": "times cdot ast",
    "/": "div",
    "°": "degree",
    "∅": "emptyset varnothing",
    "∠": "angle",
    "△": "triangle",
    "→": "to rightarrow",
    "⌊": "lfloor",
    "⌋": "rfloor",
    "⌈": "lceil",
    "⌉": "rceil",
    "|": "mid vert lvert rvert",
    ":": "colon",
    "...": "ldots dots cdots dotsc dotsb",
    "\\{": "lbrace",
    "\\}": "rbrace",
    "¬": "neg lnot",
    "∧": "wedge land",
    "∨": "vee lor",
    **{
        unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}"): name
        for name in "alpha beta gamma delta zeta eta theta iota kappa nu xi pi rho sigma tau"
        " upsilon chi psi omega".split()
    },
    "ε": "epsilon varepsilon",
    "λ": "lambda",
    "μ": "mu",
    "φ": "phi varphi",
    "Γ": "Gamma",
    "Δ": "Delta",
    "Θ": "Theta",
    "Λ": "Lambda",
    "Ξ": "Xi",
    "Π": "Pi",
    "Σ": "Sigma",
    "Φ": "Phi",
    "Ψ": "Psi",
    "Ω": "Omega",
}
SYMBOLS = {f"\\{name}": symbol for symbol, names in _NAMES.items() for name in names.split()}
_MACROS = str.maketrans(
    {
        symbol: f"\\{names.split()[0]} "
        for symbol, names in _NAMES.items()
        if len(symbol) == 1 and not symbol.isascii()
    }
    | {"°": "^\\circ "}
)
_DIGIT_GROUP = re.compile(
    r"(?<=\d)(?<!\b0)(?:\\[,;: ]|,?\s*\\!|\s*\{\s*,\s*\}|[\u2009\u202f\u00a0])\s*(?=\d{3}(?!\d))"
)
_DECIMAL_COMMA = re.compile(r"(?<=\d)\{,\}(?=\d)")


def one_form(text: str) -> str:
    """The text with one form of each sign: that which LaTeX has.

    Of raised, lowered and full-width characters, and signs with several forms. Currency signs but
    the dollar are left out.
    """
    text = _RAISED.sub(lambda run: "^{" + "".join(_SUPERSCRIPT[c] for c in run[0]) + "}", text)
    text = _LOWERED.sub(lambda run: "_{" + "".join(_SUBSCRIPT[c] for c in run[0]) + "}", text)
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = _DECIMAL_COMMA.sub(".", _DIGIT_GROUP.sub("", text.translate(_BEFORE)))
    text = unicodedata.normalize("NFKC", text).translate(_AFTER)
    return text if text.isascii() else _without_lone_marks(text)


def _without_lone_marks(text: str) -> str:
    """Without accents that stand over a space, as NFKC makes them of a spacing accent."""
    return "".join(
        character
        for before, character in zip(" " + text, text, strict=False)
        if not (before.isspace() and unicodedata.combining(character))
    )


def _vulgar_fraction(character: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", character[0]).partition("⁄")
    return f"\\frac{{{above}}}{{{below}}}"


_ROOT = re.compile(r"√\s*(\d+|[a-zA-Z])?")


_ONE_LETTER = re.compile(r"\\(?:math|text)[a-z]+\s*\{\s*([a-zA-Z])\s*\}")
"""math-verify takes these for units, and reads 1 - 1/\\mathrm{e} as 1, and 3x - 2m as 3x - 2."""
_LAST_LETTER = re.compile(r"(?<=[\d}\s])([a-zA-Z])$")
_VARIABLE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z](?![a-zA-Z])")


def latex(text: str) -> str:
    """The text in LaTeX alone, for a reader who knows no Unicode."""
    text = one_form(text)
    text = _ONE_LETTER.sub(r"{\1}", text)
    if len(set(_VARIABLE.findall(text))) > 1:
        text = _LAST_LETTER.sub(r"{\1}", text)
    text = _ROOT.sub(lambda root: f"\\sqrt{{{root[1]}}}" if root[1] else "\\sqrt ", text)
    return text.translate(_MACROS)
