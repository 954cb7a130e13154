"""LaTeX and Unicode -> one plain line: what only sets the text goes, what means something stays.

Fractions become ((a)/(b)), roots √x, scripts ^2 and _(max), sets \\{1, 2\\}, symbols a character.
Everything is one pass over the text, however deep its braces are nested.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from minireason.answers.symbols import SYMBOLS, one_form

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
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))")


def plain(text: str) -> str:
    """The text without LaTeX that only sets it, in a form that stays as it is when read again."""
    text = _DEGREES.sub("°", one_form(text))
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
    """A translation, token by token.

    An argument is a group or a single token; its macro writes around it.
    """

    def __init__(self, *, rows: bool) -> None:
        self._newline = "\\\\" if rows else " "
        self._out: list[str] = []
        self._open: list[_Open] = []
        self._braces = 0

    def read(self, text: str) -> str:
        """The text in plain notation."""
        for token in _TOKEN.findall(text):
            self._translate(token)
        while self._open:
            self._drop(self._open.pop())
        return "".join(self._out)

    def _translate(self, token: str) -> None:
        waits = self._waiting()
        token = self._newline if token == "\\\\" else _SCRIPTS.get(token, token)
        if token in _NOTHING or token.startswith(("\\left", "\\right", "\\middle")):
            if SYMBOLS.get(token):
                self._item(SYMBOLS[token])
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
        """A token, or its symbol; of a run of letters or digits an argument takes what it needs."""
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
        if token in SYMBOLS:
            return SYMBOLS[token]
        if token.startswith(("\\begin", "\\end")):
            return "".join(token.split())
        if token[1].isalpha():
            return f"{token} "
        return token if token in ("\\{", "\\}", "\\\\") else token[1:]

    def _item(self, piece: str) -> None:
        self._out.append(piece)
        self._done()

    def _done(self) -> None:
        """An argument is complete; its macro goes on, or is complete and may be an argument too."""
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
