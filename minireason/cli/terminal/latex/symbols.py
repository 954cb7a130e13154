"""What the macros of LaTeX look like as text: characters, names, accents, scripts and brackets."""

from __future__ import annotations

import functools
import unicodedata
from typing import Any

BOX = ("▌", "▐")

_SUPERSCRIPTS = dict(
    zip(
        "0123456789+-=()niabcdefghjklmoprstuvwxyzT",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀ",
        strict=True,
    )
)
_SUBSCRIPTS = dict(
    zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)
SCRIPTS = {"^": _SUPERSCRIPTS, "_": _SUBSCRIPTS}
RAISED = {"∘": "°", "°": "°", "′": "′", "'": "′", "″": "″"}
"""Characters that are superscripts by themselves."""

FUNCTIONS = frozenset(
    "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan log ln lg exp max min sup inf"
    " gcd lcm det dim ker deg hom arg Pr".split()
)
LIMITS = {"lim": "lim", "limsup": "lim sup", "liminf": "lim inf"}
LARGE = frozenset("∑∏∐∫∬∭∮⋃⋂⨁⨂⋁⋀")
"""Operators that stand before what they act on, with a space."""

PREFIXES = frozenset("¬∂∇∀∃∄∠△")
"""Signs that stand before what they act on, without a space."""

SPACED = frozenset("×÷·±∓≤≥⩽⩾<>≠≈≃≡∼≅∝≪≫→←↔⇒⇐⇔⟹⟸⟺⟶⟵↦⟼↪⇌∈∉∋⊂⊆⊊⊃⊇∪∩∖∧∨⊕⊗∘⊢⊨∣∤∥⊥")
"""Operators between two things, with a space on both sides."""

ACCENTS = {
    "hat": "\u0302",
    "widehat": "\u0302",
    "bar": "\u0304",
    "vec": "\u20d7",
    "overrightarrow": "\u20d7",
    "dot": "\u0307",
    "ddot": "\u0308",
    "tilde": "\u0303",
    "widetilde": "\u0303",
    "check": "\u030c",
    "breve": "\u0306",
    "acute": "\u0301",
    "grave": "\u0300",
}
ACCENT_NAMES = {"widehat": "hat", "widetilde": "tilde", "overrightarrow": "vec"}
LINES = {"overline": "\u0305", "underline": "\u0332", "cancel": "\u0336"}
"""Marks that go over, under or through each character of what they take."""

FONTS = frozenset(
    "mathrm mathbf mathit mathsf mathtt mathnormal mathfrak boldsymbol bm pmb mathop mathbin"
    " mathrel mathord ".split()
)
"""Macros that only change how their content looks."""

PROSE = frozenset("text textbf textit textrm textsf texttt textnormal mbox hbox emph ce".split())

NOTHING = frozenset(
    "displaystyle textstyle scriptstyle scriptscriptstyle limits nolimits nonumber notag hline"
    " centering hfill bf rm it normalsize small large ! /".split()
)
DELIMITER_SIZES = frozenset(
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm".split()
)
SPACES = {
    **dict.fromkeys(
        [",", ";", ":", ">", " ", "~", "thinspace", "enspace", "space", "nobreakspace"], " "
    ),
    "quad": "  ",
    "qquad": "    ",
}
ARROWS = {
    "xrightarrow": ("—", "→"),
    "xleftarrow": ("←", "—"),
    "xleftrightarrow": ("←", "→"),
    "xRightarrow": ("=", "⇒"),
    "xlongequal": ("=", "="),
    "xmapsto": ("↦", "→"),
}

_OURS = {
    "lt": "<",
    "gt": ">",
    "ne": "≠",
    "neq": "≠",
    "neg": "¬",
    "lor": "∨",
    "land": "∧",
    "triangle": "△",
    "implies": "⟹",
    "impliedby": "⟸",
    "iff": "⟺",
    "degree": "°",
    "dots": "…",
    "ldots": "…",
    "dotsc": "…",
    "dotsb": "⋯",
    "cdots": "⋯",
    "dotsm": "⋯",
    "cdot": "·",
    "cdotp": "·",
    "mid": "|",
    "vert": "|",
    "lvert": "|",
    "rvert": "|",
    "Vert": "‖",
    "lVert": "‖",
    "rVert": "‖",
    "|": "‖",
    "prime": "′",
    "colon": ":",
    "coloneqq": "≔",
    "backslash": "\\",
    "lbrace": "{",
    "rbrace": "}",
    "lbrack": "[",
    "rbrack": "]",
    "imath": "ı",
    "jmath": "ȷ",
    "Re": "Re",
    "Im": "Im",
    "bot": "⊥",
    "Box": "□",
    "checkmark": "✓",
    "euro": "€",
    "pounds": "£",
    "varnothing": "∅",
    "models": "⊨",
    "copyright": "©",
    "heartsuit": "♥",
    "spadesuit": "♠",
    "diamondsuit": "♦",
    "clubsuit": "♣",
    "asymp": "≍",
    "iiint": "∭",
    "complement": "∁",
    "And": "&",
    "textdegree": "°",
    "textbackslash": "\\",
    "ast": "*",
    "gets": "←",
    "owns": "∋",
    "vartriangle": "△",
    "smallsetminus": "∖",
    "dag": "†",
    "P": "¶",
    "S": "§",
} | {sign: sign for sign in "%$#&_{}"}

BRACKETS = {
    "matrix": ("", ""),
    "smallmatrix": ("", ""),
    "array": ("", ""),
    "pmatrix": ("(", ")"),
    "bmatrix": ("[", "]"),
    "Bmatrix": ("{", "}"),
    "vmatrix": ("|", "|"),
    "Vmatrix": ("‖", "‖"),
    "cases": ("{", ""),
    "dcases": ("{", ""),
    "rcases": ("", "}"),
}
"""Environments of rows and columns, and what stands around them."""

ALIGNED = frozenset(
    "align aligned alignat alignedat split gather gathered equation multline eqnarray flalign"
    " displaymath math".split()
)
JUSTIFIED = {
    "cases": "l",
    "dcases": "l",
    "rcases": "l",
    **dict.fromkeys(ALIGNED, "rl"),
    **dict.fromkeys("gather gathered equation multline displaymath math".split(), "l"),
}
"""How columns are set, a letter each (l, c or r); the letters are used again from the first on."""
WITH_COLUMNS = frozenset("array alignat alignedat".split())
"""Environments that say in a group of their own which columns they have."""

TALL = {
    "(": "⎛⎜⎝",
    ")": "⎞⎟⎠",
    "[": "⎡⎢⎣",
    "]": "⎤⎥⎦",
    "{": "⎧⎪⎩",
    "}": "⎫⎪⎭",
    "|": "|||",
    "‖": "‖‖‖",
}
WAISTS = {"{": "⎨", "}": "⎬"}
"""The row in the middle of a brace."""

_BLACKBOARD = {"C": "ℂ", "H": "ℍ", "N": "ℕ", "P": "ℙ", "Q": "ℚ", "R": "ℝ", "Z": "ℤ"}
_CALLIGRAPHIC = {
    "B": "ℬ",
    "E": "ℰ",
    "F": "ℱ",
    "H": "ℋ",
    "I": "ℐ",
    "L": "ℒ",
    "M": "ℳ",
    "R": "ℛ",
}


@functools.cache
def symbol(name: str) -> str | None:
    """The character that a macro without arguments stands for; None for an unknown one."""
    if name in _OURS:
        return _OURS[name]
    spec = _table().get_macro_spec(name)
    shown = getattr(spec, "simplify_repl", None)
    return shown if isinstance(shown, str) and len(shown) == 1 else None


@functools.cache
def _table() -> Any:
    from pylatexenc import latex2text

    return latex2text.get_default_latex_context_db()


def blackboard(text: str) -> str:
    """Letters with doubled strokes, as sets of numbers have them."""
    return "".join(_BLACKBOARD.get(letter) or _doubled(letter) for letter in text)


def _doubled(letter: str) -> str:
    if not letter.isascii() or not letter.isalnum():
        return letter
    kind = "CAPITAL" if letter.isupper() else "SMALL"
    if letter.isdigit():
        kind = "DIGIT"
    name = unicodedata.name(letter).rpartition(" ")[2]
    return unicodedata.lookup(f"MATHEMATICAL DOUBLE-STRUCK {kind} {name}")


def calligraphic(text: str) -> str:
    """Script letters, those that terminals have."""
    return "".join(_CALLIGRAPHIC.get(letter, letter) for letter in text)
