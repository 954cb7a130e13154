"""LaTeX -> text with Unicode in the place of commands.

Nothing is left out: an unknown macro stays as it is written, and so does a whole formula that
cannot be read. pylatexenc knows the symbols; the reading is ours, for pylatexenc's drops what it
does not know.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from minireason.cli.terminal.latex import symbols
from minireason.cli.terminal.latex.formula import (
    BLOCK_END,
    BLOCK_START,
    Kind,
    Part,
    attached,
    composed,
    grouped,
    script,
    staircase,
)
from minireason.cli.terminal.latex.reader import SPACE, Macros, Reader, Unreadable, tokens_of

_MAX_CHARS = 20_000


def readable(formula: str, *, display: bool = False) -> str | None:
    """One formula as text; None if it cannot be read.

    In a `display`, which has lines of its own, matrices and cases take several.
    """
    if len(formula) > _MAX_CHARS or BLOCK_START in formula or BLOCK_END in formula:
        return None
    try:
        parts = Reader(tokens_of(formula), _MACROS, display=display).parts(())
    except Unreadable:
        return None
    text = staircase(composed(parts))
    if "\n" not in text:
        return text.strip()
    return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())


def _fraction(reader: Reader) -> Part:
    above, below = reader.flat(reader.atom), reader.flat(reader.atom)
    return Part(f"{grouped(above)}/{grouped(below, below=True)}", Kind.FRACTION)


def _root(reader: Reader) -> Part:
    degree, body = reader.option(), reader.argument()
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree) or f"{script('^', degree)}√"
    return Part(sign + (body if re.fullmatch(r"\d+|\w", body) else f"({body})"), Kind.GROUP)


def _boxed(reader: Reader) -> Part:
    opening, closing = symbols.BOX
    return Part(f"{opening} {composed(reader.atom())} {closing}", Kind.GROUP)


def _binomial(reader: Reader) -> Part:
    return Part(f"C({reader.argument()}, {reader.argument()})", Kind.GROUP)


def _named_function(reader: Reader) -> Part:
    reader.skip("*")
    return Part(reader.prose(), Kind.FUNCTION)


def _accented(name: str) -> Callable[[Reader], Part]:
    def accented(reader: Reader) -> Part:
        text = reader.argument()
        if len(text) != 1:
            return Part(f"{symbols.ACCENT_NAMES.get(name, name)}({text})", Kind.GROUP)
        return Part(unicodedata.normalize("NFC", text + symbols.ACCENTS[name]), Kind.SYMBOL)

    return accented


def _lined(name: str) -> Callable[[Reader], Part]:
    def lined(reader: Reader) -> Part:
        text = "".join(sign + symbols.LINES[name] for sign in reader.argument())
        return Part(text, Kind.SYMBOL)

    return lined


def _arrow(name: str) -> Callable[[Reader], Part]:
    def arrow(reader: Reader) -> Part:
        tail, head = symbols.ARROWS[name]
        below, above = reader.option(), reader.argument(tight=True)
        label = "; ".join(filter(None, (below, above)))
        return Part(f"{tail}{label}{head}", Kind.OPERATOR)

    return arrow


def _on_top(sign: str) -> Callable[[Reader], Part]:
    """One thing above ("^") or below ("_") another."""

    def on_top(reader: Reader) -> Part:
        small, base = reader.argument(tight=True), reader.flat(reader.atom)
        if (small, composed(base)) == ("?", "="):
            return Part("≟", Kind.OPERATOR)
        attached(base, sign, small)
        return Part(composed(base), base[0].kind)

    return on_top


def _negated(reader: Reader) -> Part:
    text = unicodedata.normalize("NFC", reader.argument() + "\u0338")
    return Part(text, Kind.OPERATOR)


def _modulus(reader: Reader) -> Part:
    return Part(f" (mod {reader.argument()})", Kind.PROSE)


def _tag(reader: Reader) -> Part:
    reader.skip("*")
    return Part(f"  ({reader.prose()})", Kind.PROSE)


def _space(reader: Reader) -> Part:
    reader.skip("*")
    reader.argument()
    return SPACE


def _coloured(reader: Reader) -> Part:
    reader.argument()
    return Part(composed(reader.atom()), Kind.GROUP)


_MACROS: Macros = {
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), _fraction),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), _binomial),
    **dict.fromkeys(("boxed", "fbox"), _boxed),
    **{name: _accented(name) for name in symbols.ACCENTS},
    **{name: _lined(name) for name in symbols.LINES},
    **{name: _arrow(name) for name in symbols.ARROWS},
    **dict.fromkeys(("overset", "stackrel"), _on_top("^")),
    **dict.fromkeys(
        ("overbrace", "underbrace"), lambda reader: Part(reader.argument(), Kind.GROUP)
    ),
    "underset": _on_top("_"),
    "substack": lambda reader: Part(reader.argument(tight=True), Kind.GROUP),
    "mathbb": lambda reader: Part(symbols.blackboard(reader.argument()), Kind.SYMBOL),
    "mathcal": lambda reader: Part(symbols.calligraphic(reader.argument()), Kind.SYMBOL),
    "mathscr": lambda reader: Part(symbols.calligraphic(reader.argument()), Kind.SYMBOL),
    "operatorname": _named_function,
    "sqrt": _root,
    "not": _negated,
    "pmod": _modulus,
    "bmod": lambda _: Part("mod", Kind.OPERATOR),
    "mod": lambda _: Part("mod", Kind.OPERATOR),
    "tag": _tag,
    "hspace": _space,
    "vspace": _space,
    "textcolor": _coloured,
}
"""Macros that take something, or whose text is no character."""
