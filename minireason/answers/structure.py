"""What stands at the top level of a plain text: brackets, separators, relations, names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_SIGN = re.compile(
    r"\\begin\{\w+\*?\}|\\end\{\w+\*?\}|\\[{}]|[()\[\]]|[,;=≈∈<>≤≥≠±∓]"
    r"|(?<![a-zA-Z])(?:and|or)(?![a-z])"
)
_OPENING = ("(", "[", "\\{", "\\begin")
_CLOSING = (")", "]", "\\}", "\\end")
RELATIONS = "=≈∈<>≤≥≠"
_ORDER = {"<": ">", "≤": "≥", ">": "<", "≥": "≤"}


class Sign(NamedTuple):
    """A separator or relation at the top level, or the bracket that opens or closes it."""

    text: str
    start: int
    end: int


def top_level(text: str) -> list[Sign]:
    """The signs that stand in no bracket; a bracket of one kind may be closed by another."""
    depth, signs = 0, []
    for match in _SIGN.finditer(text):
        closes = match[0].startswith(_CLOSING)
        depth = max(0, depth - closes)
        if not depth:
            signs.append(Sign(match[0], match.start(), match.end()))
        depth += match[0].startswith(_OPENING)
    return signs


def brackets(text: str) -> tuple[str, str, str] | None:
    """The one pair of brackets around all of the text and what is in it; None if there is none."""
    signs = top_level(text)[:2]
    if len(signs) < 2 or signs[0].start or signs[1].end != len(text):
        return None
    opening, closing = signs[0].text, signs[1].text
    if opening.startswith("\\b") or opening not in _OPENING or closing not in _CLOSING:
        return None
    return opening, text[len(opening) : -len(closing)], closing


def without_needless_brackets(text: str) -> str:
    """Without the parentheses around all of it, unless they make it a tuple."""
    partner, tuples = _partners(text)
    start, end = 0, len(text) - 1
    while start < end and partner.get(start) == end and start not in tuples:
        start += 1
        end -= 1
        while start < end and text[start] == " ":
            start += 1
        while start < end and text[end] == " ":
            end -= 1
    return text[start : end + 1]


def _partners(text: str) -> tuple[dict[int, int], set[int]]:
    """Of each opening parenthesis where its partner is, and those with a comma in them."""
    opened: list[int] = []
    partner: dict[int, int] = {}
    tuples: set[int] = set()
    for match in re.finditer(r"\\[{}]|[()\[\],;]", text):
        if match[0] in (",", ";"):
            tuples.update(opened[-1:])
        elif match[0].startswith(_OPENING):
            opened.append(match.start())
        elif opened:
            start = opened.pop()
            if text[start] == "(" and match[0] == ")":
                partner[start] = match.start()
    return partner, tuples


def cut(text: str, signs: Sequence[Sign]) -> list[str]:
    """The pieces between these signs."""
    starts = [0, *(sign.end for sign in signs)]
    ends = [*(sign.start for sign in signs), len(text)]
    return [text[start:end].strip() for start, end in zip(starts, ends, strict=True)]


def relation(text: str) -> tuple[list[str], str] | None:
    """The sides of a chain of relations and the signs between them; None without a relation."""
    signs = [sign for sign in top_level(text) if sign.text in RELATIONS]
    return (cut(text, signs), "".join(sign.text for sign in signs)) if signs else None


def ascending(sides: list[str], signs: str) -> tuple[list[str], str]:
    """A chain of > and ≥ the other way round, so that "x > 5" is "5 < x"."""
    if set(signs) <= {">", "≥"}:
        return sides[::-1], "".join(_ORDER[sign] for sign in reversed(signs))
    return sides, signs


_QUANTITY = (
    r"(?:[∠△]|\\[a-zA-Z]+ ?)?"  # an angle, a length
    r"(?:[a-zα-ωΑ-Ω]|d[a-z]|[A-Z]+|[A-Z]?[a-z]{3,}(?: [A-Za-z][a-z]+)*)"
    r"'*(?:_(?:\w+|\([^()]*\)))?'*"
)
_CALL = rf"(?:{_QUANTITY}(?:\^\(-1\))?\([^()]*\)|\|{_QUANTITY}\||{_QUANTITY})"
_NAME = re.compile(
    rf"{_CALL}(?:[:/]{_CALL})?|\(\({_CALL}\)/\({_CALL}\)\)|\({_CALL}(?:, ?{_CALL})+\)"
)
_MAX_NAME_CHARS = 80


def is_name(side: str) -> bool:
    """Whether this is the name of one unknown quantity: x, x_1, f(2), |AB|, A:B, (p, q)."""
    return len(side) <= _MAX_NAME_CHARS and bool(_NAME.fullmatch(side))


def named(text: str) -> tuple[str, str, str] | None:
    """A name, "=" or "∈", and the value; None if the text is anything else."""
    chain = relation(text)
    if not chain or chain[1] not in ("=", "∈") or not is_name(chain[0][0]):
        return None
    return chain[0][0], chain[1], chain[0][1]
