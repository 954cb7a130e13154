"""LaTeX and Unicode -> one plain line: what only sets the text is taken off, what means something stays.

Fractions become ((a)/(b)), roots √x, scripts ^2 and _(max), sets \\{1, 2\\}, symbols one character.
Everything is one pass over the text, however deep its braces are nested.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

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
_SYMBOLS = {f"\\{name}": symbol for symbol, names in _NAMES.items() for name in names.split()}
_MACROS = str.maketrans(
    {
        symbol: f"\\{names.split()[0]} "
        for symbol, names in _NAMES.items()
        if len(symbol) == 1 and not symbol.isascii()
    }
    | {"°": "^\\circ "}
)
_SPACES = frozenset(
    "\\quad \\qquad \\, \\; \\: \\> \\space \\thinspace ~ $ \\( \\) \\[ \\]".split()
) | {
    "\\ ",
    "\\\n",
}
_NOTHING = frozenset(
    "\\! \\displaystyle \\textstyle \\limits \\nolimits \\rm \\bf \\it \\big \\Big \\bigg \\Bigg"
    " \\bigl \\bigr \\Bigl \\Bigr \\biggl \\biggr \\left \\right \\middle \\$ \\- \\/".split()
)
_WORDS_IN_TEXT = frozenset(
    "\\text \\textbf \\textit \\textrm \\textnormal \\textsf \\texttt \\mathrm \\mathsf \\mbox"
    " \\hbox \\operatorname \\boxed \\fbox".split()
)
_SET_ONLY = frozenset("\\mathbf \\mathit \\mathbb \\mathcal \\boldsymbol \\bm \\mathop".split())
_FRACTIONS = frozenset("\\frac \\dfrac \\tfrac \\cfrac".split())
_SCRIPTS = {"\\sqrt": "√", "\\^": "^", "\\_": "_"}
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z]{2}|[{}()])")
_TOKEN = re.compile(
    r"\\(?:begin|end)\s*\{[a-zA-Z]+\*?\}|\\(?:left|right|middle)\s*\.(?!\d)|\\[a-zA-Z]+|\\."
    r"|\d+|[^\W\d_]+|\s+|.",
    re.DOTALL,
)
_ATOM = re.compile(r"\d+|[^\W\d_]|\W", re.DOTALL)
_LOWER_ATOM = re.compile(r"\w+", re.DOTALL)
_DIGIT_GROUP = re.compile(
    r"(?<=\d)(?<!\b0)(?:\\[,;: ]|,?\s*\\!|\s*\{\s*,\s*\}|[\u2009\u202f\u00a0])\s*(?=\d{3}(?!\d))"
)
_DECIMAL_COMMA = re.compile(r"(?<=\d)\{,\}(?=\d)")
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))")


def ascii_digits(text: str) -> str:
    """The text with raised, lowered and full-width characters, and signs with several forms, in the
    form that LaTeX has; no currency signs but the dollar."""
    text = _RAISED.sub(lambda run: "^{" + "".join(_SUPERSCRIPT[c] for c in run[0]) + "}", text)
    text = _LOWERED.sub(lambda run: "_{" + "".join(_SUBSCRIPT[c] for c in run[0]) + "}", text)
    text = _VULGAR.sub(_vulgar_fraction, text)
    text = _DIGIT_GROUP.sub("", text.translate(_BEFORE))
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
    text = _DECIMAL_COMMA.sub(".", ascii_digits(text))
    text = _ONE_LETTER.sub(r"{\1}", text)
    if len(set(_VARIABLE.findall(text))) > 1:
        text = _LAST_LETTER.sub(r"{\1}", text)
    text = _ROOT.sub(lambda root: f"\\sqrt{{{root[1]}}}" if root[1] else "\\sqrt ", text)
    return text.translate(_MACROS)


def plain(text: str) -> str:
    """The text without LaTeX that only sets it, in a form that stays as it is when read again."""
    text = _DEGREES.sub("°", _DECIMAL_COMMA.sub(".", ascii_digits(text)))
    rows = "\\begin" in text
    if not rows:
        text = _DOUBLED.sub(r"\\", text)
    return " ".join(_Reader(rows=rows).read(text).split())


@dataclass(slots=True)
class _Open:
    """What waits for its end: a macro for its arguments, a brace or a parenthesis for its partner.

    `start` is where its argument starts in the output.
    """

    kind: str
    start: int = 0
    left: int = 1


class _Reader:
    """Reads tokens, writes pieces. An argument is a group or a single token; its macro writes around it."""

    def __init__(self, *, rows: bool) -> None:
        self._newline = "\\\\" if rows else " "
        self._out: list[str] = []
        self._open: list[_Open] = []
        self._braces = 0

    def read(self, text: str) -> str:
        for token in _TOKEN.findall(text):
            self._take(token)
        while self._open:
            self._drop(self._open.pop())
        return "".join(self._out)

    def _take(self, token: str) -> None:
        waits = self._waiting()
        token = self._newline if token == "\\\\" else _SCRIPTS.get(token, token)
        if token in _NOTHING or token.startswith(("\\left", "\\right", "\\middle")):
            if _SYMBOLS.get(token):
                self._item(_SYMBOLS[token])
        elif token.isspace() or token in _SPACES:
            if not waits:
                self._out.append(" ")
        elif token in _FRACTIONS:
            self._begin(_Open("frac", left=2), "((")
        elif token in _WORDS_IN_TEXT:
            self._begin(_Open("text"), " ")
        elif token in _SET_ONLY:
            self._begin(_Open("set"), "")
        elif token in ("√", "^", "_"):
            self._begin(_Open(token), token)
        elif token in "{}()" or (token in "[]" and self._is_index(token)):
            self._bracket(token)
        else:
            self._symbol(token)

    def _waiting(self) -> _Open | None:
        """The macro that takes the next token or group as its argument."""
        top = self._open[-1] if self._open else None
        return top if top and top.kind in ("frac", "text", "set", "√", "^", "_") else None

    def _is_index(self, token: str) -> bool:
        """Whether this is a bracket around the index of a root."""
        if token == "[":
            return bool(self._open) and self._open[-1].kind == "√" and self._out[-1] == ""
        return bool(self._open) and self._open[-1].kind == "["

    def _begin(self, macro: _Open, written: str) -> None:
        self._out += [written, ""]
        macro.start = len(self._out) - 1  # the place of a parenthesis, if one is needed
        self._open.append(macro)

    def _bracket(self, token: str) -> None:
        if token in "{[":
            self._braces += token == "{"
            self._write("[" if token == "[" else "")
            self._open.append(_Open(token))
        elif token == "(":
            grouped = self._waiting()
            self._write("" if grouped else "(")
            self._open.append(_Open("group" if grouped else "("))
        elif token == "]":
            self._open.pop()
            self._out += ["]", ""]
            self._open[-1].start = len(self._out) - 1
        elif token == ")":
            self._close_parenthesis()
        elif self._braces:
            self._braces -= 1
            while (popped := self._open.pop()).kind != "{":
                self._drop(popped)
            self._done()

    def _close_parenthesis(self) -> None:
        top = self._open[-1].kind if self._open else ""
        if top == "group":
            self._open.pop()
            self._done()
        elif top == "(":
            self._open.pop()
            self._item(")")
        else:
            self._item(")")

    def _write(self, piece: str) -> None:
        if piece:
            self._out.append(piece)

    def _symbol(self, token: str) -> None:
        """A token that is written as it is or as its symbol; of a run an argument takes what it needs."""
        waits = self._waiting()
        while waits and len(token) > 1 and token.isalnum() and not self._takes_run(waits, token):
            self._item(token[0])
            token, waits = token[1:], self._waiting()
        if waits and waits.kind != "text" and token in ("+", "-"):
            self._out.append(token)
        elif token.startswith("\\") and len(token) > 1:
            self._item(self._macro(token))
        elif token != "\\":
            self._item(token)

    @staticmethod
    def _takes_run(waits: _Open, token: str) -> bool:
        if waits.kind in ("frac", "set"):
            return False
        return token.isdigit() or waits.kind in ("_", "text")

    @staticmethod
    def _macro(token: str) -> str:
        if token in _SYMBOLS:
            return _SYMBOLS[token]
        if token.startswith(("\\begin", "\\end")):
            return "".join(token.split())
        if token[1].isalpha():
            return f"{token} "
        return token if token in ("\\{", "\\}", "\\\\") else token[1:]

    def _item(self, piece: str) -> None:
        self._out.append(piece)
        self._done()

    def _done(self) -> None:
        """An argument is complete: its macro goes on, or is complete itself and may be an argument."""
        while waits := self._waiting():
            waits.left -= 1
            if waits.left:
                self._out.append(")/(")
                return
            self._open.pop()
            self._end(waits)

    def _end(self, macro: _Open) -> None:
        if macro.kind == "frac":
            self._out.append("))")
        elif macro.kind == "text":
            self._out.append(" ")
        elif macro.kind != "set" and not self._is_atom(macro):
            self._out[macro.start] = "("
            self._out.append(")")

    def _is_atom(self, macro: _Open) -> bool:
        content = "".join(self._out[macro.start + 1 : macro.start + 4]).strip()
        few = len(self._out) - macro.start <= 4
        atom = _LOWER_ATOM if macro.kind == "_" else _ATOM
        return few and bool(atom.fullmatch(content))

    def _drop(self, unclosed: _Open) -> None:
        """The end of a group or of the text came first."""
        if unclosed.kind == "frac":
            self._out.append(")/(" * (unclosed.left - 1) + "))")
        elif unclosed.kind not in "{([" and unclosed.kind != "group":
            self._end(unclosed)
