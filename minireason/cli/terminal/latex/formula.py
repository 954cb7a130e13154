"""Parts of a formula that was read, and the line of text that they make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from rich.cells import cell_len

from minireason.cli.terminal.latex import symbols

BLOCK_START, BLOCK_END = "\x01", "\x02"
"""Around lines that begin in the same column."""

_ONE_THING = re.compile(
    r"[\d.,]*\d|[√∛∜]?(?:\d+|[∂dΔ]?[^\W\d][²³¹⁰⁴-⁹₀-₉]*)|[√∛∜]?\([^()]*\)|\d+!?|[^\W\d]!"
)
_WORD = re.compile(r"[^\W\d]+")
_NUMERIC = re.compile(r"\d+/\d+")


class Kind(Enum):
    """What a part is to its neighbours."""

    SPACE = auto()
    PLAIN = auto()
    """A character as it was written."""
    SYMBOL = auto()
    """A letter that a macro stands for."""
    GROUP = auto()
    OPERATOR = auto()
    FUNCTION = auto()
    LARGE = auto()
    FRACTION = auto()
    PROSE = auto()
    MACRO = auto()
    """What nobody knows, as it was written."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a formula as text; `scripts` are the signs of those it has."""

    text: str
    kind: Kind
    scripts: str = ""


def attached(parts: list[Part], sign: str, small: str) -> None:
    """Put a superscript (`sign` "^") or a subscript ("_") on the last part."""
    while parts and parts[-1].kind is Kind.SPACE:
        parts.pop()
    base = parts.pop() if parts and parts[-1].text != "\n" else Part("", Kind.PLAIN)
    if base.kind is Kind.FRACTION or (base.kind is Kind.GROUP and not _closed(base.text)):
        base = Part(f"({base.text})", Kind.PLAIN)
    shown = f"{sign}({small})" if sign in base.scripts else script(sign, small)
    scripts = base.scripts if small == "′" else base.scripts + sign
    parts.append(replace(base, text=base.text + shown, scripts=scripts))


def _closed(text: str) -> bool:
    """Whether a script behind it is one of the whole text."""
    return len(text) <= 1 or text.isdigit() or text[-1] in (BLOCK_END, *")]}|‖")


def script(sign: str, text: str) -> str:
    """A superscript ("^") or a subscript ("_") in small characters, as far as there are such."""
    if sign == "^" and text and all(character in symbols.RAISED for character in text):
        return "".join(symbols.RAISED[character] for character in text)
    table = symbols.SCRIPTS[sign]
    letters = text.replace(" ", "")
    if letters and all(character in table for character in letters):
        return "".join(table[character] for character in letters)
    return sign + (text if re.fullmatch(r"\d+|.", text) else f"({text})")


def grouped(parts: Sequence[Part], *, below: bool = False) -> str:
    """A side of a fraction, in brackets unless it is one thing.

    Several letters are one thing above the line, but not `below` it.
    """
    text = composed(parts)
    things = [part for part in parts if part.kind is not Kind.SPACE]
    if len(things) == 1 and things[0].kind in (Kind.PROSE, Kind.FUNCTION) and " " not in text:
        return text
    if _ONE_THING.fullmatch(text) or (not below and _WORD.fullmatch(text)):
        return text
    return f"({text})"


def composed(parts: Sequence[Part], *, tight: bool = False) -> str:
    """The text of parts that stand beside each other; `tight` puts no spaces around operators."""
    things, gaps = _without_spaces(parts)
    text = ""
    before = None
    for index, part in enumerate(things):
        after = things[index + 1] if index + 1 < len(things) else None
        shown = part
        if part.kind is Kind.FRACTION:
            shown = _unambiguous(part, before, after, gaps[index])
        text += _separator(before, shown, gaps[index], tight) + shown.text
        before = shown
    return text


def _without_spaces(parts: Sequence[Part]) -> tuple[list[Part], list[bool]]:
    """The parts that are seen, and whether there was a space before each."""
    things, gaps = [], []
    gap = False
    for part in parts:
        if part.kind is Kind.SPACE:
            gap = True
        elif part.text:
            things.append(part)
            gaps.append(gap)
            gap = False
    return things, gaps


def _unambiguous(part: Part, before: Part | None, after: Part | None, gap: bool) -> Part:
    """A fraction in brackets where what stands beside it would be taken for a part of it."""
    number = before is not None and before.kind is Kind.PLAIN and before.text[-1:].isdigit()
    follows = after is not None and _multiplies(after)
    if number and not follows and _NUMERIC.fullmatch(part.text):
        return replace(part, text=f" {part.text}")
    if follows or (before is not None and _is_multiplied(before, gap)):
        return Part(f"({part.text})", Kind.GROUP)
    return part


def _multiplies(after: Part) -> bool:
    if after.kind in (Kind.FRACTION, Kind.FUNCTION, Kind.LARGE, Kind.SYMBOL):
        return True
    first = after.text[0]
    return first.isalnum() or first in f"([√∛∜▌∂∇∞!{BLOCK_START}"


def _is_multiplied(before: Part, gap: bool) -> bool:
    if before.kind in (Kind.LARGE, Kind.OPERATOR, Kind.PROSE):
        return False
    if before.kind in (Kind.FRACTION, Kind.FUNCTION):
        return True
    last = before.text[-1]
    return last.isalnum() or last in "/∂∇√" or (last in ")]}′" and not gap)


def _separator(before: Part | None, part: Part, gap: bool, tight: bool) -> str:
    if before is None or before.text[-1].isspace() or part.text[0].isspace():
        return ""
    if tight:
        return " " if gap else ""
    if Kind.OPERATOR in (before.kind, part.kind):
        return " "
    if before.kind in (Kind.FUNCTION, Kind.LARGE) and (gap or _stands_apart(part)):
        return " "
    if part.kind in (Kind.FUNCTION, Kind.LARGE) and _stands_before(before):
        return " "
    if before.kind is Kind.SYMBOL and part.kind in (Kind.PLAIN, Kind.SYMBOL) and gap:
        return "" if part.text[0].isalnum() else " "
    return " " if gap else ""


def _stands_apart(part: Part) -> bool:
    return (
        part.kind in (Kind.FUNCTION, Kind.LARGE) or part.text[0].isalnum() or part.text[0] in "√∛∜▌"
    )


def _stands_before(before: Part) -> bool:
    return before.text[-1].isalnum() or before.text[-1] in ")]}!"


def staircase(text: str) -> str:
    """Text in which the lines of each block begin in the column where the block does.

    What follows a block stands behind its last line, so that all is read in its order.
    """
    shown = line = ""
    columns: list[int] = []
    for piece in re.split(f"([{BLOCK_START}{BLOCK_END}\n])", text):
        if piece == BLOCK_START:
            columns.append(cell_len(line))
        elif piece == BLOCK_END:
            columns.pop()
        elif piece == "\n":
            shown += f"{line}\n"
            line = " " * (columns[-1] if columns else 0)
        else:
            line += piece
    return shown + line
