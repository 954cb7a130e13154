"""The exact value of a number however it is written, and its unit. Texts are `notation.plain`."""

from __future__ import annotations

import re
from fractions import Fraction

_MAX_DIGITS = 1_000
"""Longer numbers are compared as text; Python refuses to read numbers of more than 4,300 digits."""
_MAX_UNIT_CHARS = 200

_GROUPED = r"[1-9]\d{0,2}(?:(?:,\d{3})+|(?: \d{3})+)"
_SIZE = rf"(?:{_GROUPED}|\d+)(?:\.\d*)?|\.\d+"
_DOTTED = re.compile(
    r"([+-]?)([1-9]\d{0,2}(?:\.\d{3})+),(\d+)|([+-]?)([1-9]\d{0,2}(?:\.\d{3}){2,})"
)
"""Dots between the thousands; with one dot alone it is a decimal point."""
_NUMBER = re.compile(rf"([+-]?)\s*({_SIZE})(?:\s*/\s*({_SIZE}))?")
_MIXED = re.compile(r"([+-]?)\s*(\d+)\s*\(\((\d+)\)/\((\d+)\)\)|([+-]?)\s*(\d+)\s+([1-9]\d*)/(\d+)")
_SET_FRACTION = re.compile(
    rf"([+-]?)\s*\(\(\s*([+-]?)\s*({_SIZE})\s*\)/\(\s*([+-]?)\s*({_SIZE})\s*\)\)"
)
_POWER_OF_TEN = re.compile(
    rf"([+-]?(?:{_SIZE}))\s*(?:[eE]|\*\s*10\s*\^)\s*\(?([+-]?\d{{1,3}})\)?|10\^\(?(\d{{1,3}})\)?"
)
_SURE_COMMA = re.compile(r"[+-]?(?:0,\d{2,}|\d+,(?:0\d+|\d{4,}))")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_WITH_UNIT = re.compile(
    r"(.*?[\d)])(?:\s+((?!(?:and|or)\b)[a-zA-ZμΩ]+(?:[ ./*-]+(?!(?:and|or)\b)[a-zA-ZμΩ]+|"
    r"\s?\^(?:\d|\(-?\d+\)))*)\.?|([kcm]m|kg|m[lL]))"
)
_NOT_UNITS = frozenset(
    "hundred thousand million billion trillion dozen factorial squared cubed times plus minus over"
    " pi or to and a b e i j k n x y z".split()
)


def value(text: str) -> Fraction | None:
    """The exact value of a number, quotient, mixed number or power of ten; None of anything else.

    "0,111", "3,05" and "3,1416" are decimals; where a comma may also stand between two numbers
    the text is no number, see `comma_value`.
    """
    if not text or len(text) > _MAX_DIGITS or not any(map(str.isdigit, text)):
        return None
    try:
        return _value(text)
    except ZeroDivisionError:
        return None


def _value(text: str) -> Fraction | None:
    if match := _MIXED.fullmatch(text):
        sign, whole, above, below = match.groups()[:4] if match[2] else match.groups()[4:]
        return _signed(_size(whole) + _size(above) / _size(below), sign)
    if match := _NUMBER.fullmatch(text):
        return _signed(_size(match[2]) / _size(match[3] or "1"), match[1])
    if match := _SET_FRACTION.fullmatch(text):
        return _signed(_size(match[3]) / _size(match[5]), match[1], match[2], match[4])
    if match := _POWER_OF_TEN.fullmatch(text):
        return _power_of_ten(match)
    if match := _DOTTED.fullmatch(text):
        whole = (match[2] or match[5]).replace(".", "")
        return _signed(_size(f"{whole}.{match[3] or 0}"), match[1] or match[4] or "")
    return comma_value(text) if _SURE_COMMA.fullmatch(text) else None


def comma_value(text: str) -> Fraction | None:
    """The value of a number with a decimal comma; None for any other text."""
    if len(text) > _MAX_DIGITS or not _COMMA.fullmatch(text):
        return None
    return _signed(_size(text.lstrip("+-").replace(",", ".")), text[:1])


def with_unit(text: str) -> tuple[Fraction, str] | None:
    """The number and the unit behind it; words that multiply, as million, count here too."""
    match = _WITH_UNIT.fullmatch(text) if len(text) <= _MAX_UNIT_CHARS else None
    if not match:
        return None
    number = value(match[1])
    if number is None:
        number = comma_value(match[1])
    return None if number is None else (number, match[2] or match[3])


def split_unit(key: str) -> tuple[Fraction | None, str]:
    """The number in a key and its unit, "" if it has none; (None, "") for anything else."""
    number, _, unit = key.partition(" ")
    if not unit or (unit[0].isalpha() and _NOT_UNITS.isdisjoint(unit.casefold().split())):
        return value(number), unit
    return None, ""


def _power_of_ten(match: re.Match[str]) -> Fraction:
    if match[3]:
        return Fraction(10) ** int(match[3])
    mantissa = match[1].lstrip("+-")
    return _signed(_size(mantissa), match[1][:1]) * Fraction(10) ** int(match[2])


def _size(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").replace(" ", "").removesuffix("."))


def _signed(size: Fraction, *signs: str) -> Fraction:
    return -size if signs.count("-") % 2 else size
