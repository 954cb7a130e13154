"""The final answer in a text, and whether two answers are the same.

An answer has an exact key: numbers by value, everything else by its text once typesetting is taken off. Equal keys mean
equal answers. Where keys do not decide, as between "x(x+1)" and "x^2+x", `same` asks math-verify, if it is installed.
"""

from __future__ import annotations

import re
from fractions import Fraction

from minireason.reasoning import verify

BOX = "\\boxed"
_BOXED = BOX + "{"
_BRACE = re.compile(r"\\boxed\{|\\(?!\\boxed\{).|[{}]", re.DOTALL)
"""A brace, or an escaped character, which may look like one."""
_MAX_DIGITS = 1_000
"""Longer numbers are compared as text; Python refuses to read numbers of more than 4,300 digits."""


def boxed(text: str) -> str | None:
    """The content of the last complete \\boxed{...}, braces inside it balanced; None if there is none."""
    opened: list[int] = []  # of each open brace where its content starts, -1 if it is not a box's
    start, end = -1, -1
    for found in _BRACE.finditer(text):
        if found[0] == "}" and opened:
            start, end = max((start, end), (opened.pop(), found.start()))
        elif found[0].endswith("{") and found[0] != "\\{":
            opened.append(found.end() if found[0] == _BOXED else -1)
    return text[start:end].strip() if start >= 0 else None


_STATED = re.compile(
    r"(?i)\b(?:final\s+answer|answer)\b[*_]*\s*(?:is\b|[:=]|(?<=final answer)\s*\n|(?<=final answer\*\*)\s*\n)"
)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|,?\s+(?:because|since)\s|\n")
_ALONE = re.compile(r"\W*([A-J])\W*|\(?([A-J])\)[ \t]+\S.*|([A-J])[.:][ \t]+\S.*", re.DOTALL)
_CODE = re.compile(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1|\Z)", re.DOTALL | re.MULTILINE)
_OPTION = re.compile(r"\b(?:[Oo]ption|[Cc]hoice)\s+\W{0,3}([A-J])\b")


def final_answer(text: str) -> str | None:
    """What an answer's text comes down to, None if it does not say so: its last \\boxed{}, else what its last "final
    answer" or "answer is" states, else the letter of a multiple choice. Code is no answer that can be compared."""
    prose = _CODE.sub("```", text)
    return boxed(text) or _stated(prose) or _letter(prose)


def _stated(text: str) -> str | None:
    """What follows the last "answer is", "Answer:" or heading "Final Answer", up to the end of the sentence."""
    for match in reversed(list(_STATED.finditer(text))):
        rest = text[match.end() :].lstrip(" \t\r\n:*_")
        end = _SENTENCE_END.search(rest)
        stated = _bare(rest[: end.start()] if end else rest)
        if stated and not re.match(r"(?i)(?:not|unknown|unclear)\b", stated):
            return stated
    return None


def _letter(text: str) -> str | None:
    whole = _ALONE.fullmatch(text.strip())
    if whole:
        return next(letter for letter in whole.groups() if letter)
    options = _OPTION.findall(text)
    return str(options[-1]) if options else None


def _bare(text: str) -> str:
    """Without markdown, mathematics marks and quotes around it, and the full stop behind it."""
    before = None
    while text != before:
        before = text
        text = text.strip(" \t\r\n*_`\"'$").removesuffix(".")
        for opening, closing in (("\\(", "\\)"), ("\\[", "\\]")):
            if text.startswith(opening) and text.endswith(closing):
                text = text[2:-2]
    return text


_WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|operatorname|boxed|mbox)\s*\{([^{}]*)\}"
)
_THOUSANDS_SPACE = re.compile(r"(?<=\d)(?:\\[,;: ]|,?\\!|[\u2009\u202f\u00a0])(?=\d{3}(?!\d))")
_SPACING = re.compile(
    r"\\(?:left|right|displaystyle|quad|qquad|big|Big)(?![a-zA-Z])|\\[!,;: ]|[~\u2009\u202f\u00a0]"
)
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{\s*([^{}]*?)\s*\}|(\d))\s*(?:\{\s*([^{}]*?)\s*\}|(\d))")
_DROPPED_UNIT = re.compile(
    r"\s*(?:\\?%|°|\^\s*\{?\s*\\circ\s*\}?|\\degree|\b(?:percent|degrees?))$", re.IGNORECASE
)
_SIZE = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(rf"([+-]?)\s*({_SIZE})(?:\s*/\s*({_SIZE}))?")
_MIXED = re.compile(r"([+-]?)\s*(\d+)\s*\(\((\d+)\)/\((\d+)\)\)|([+-]?)\s*(\d+)\s+(\d+)/(\d+)")
_SET_FRACTION = re.compile(rf"([+-]?)\s*\(\(\s*([+-]?)({_SIZE})\)/\(\s*([+-]?)({_SIZE})\)\)")
_POWER_OF_TEN = re.compile(
    rf"([+-]?(?:{_SIZE}))\s*(?:[eE]|(?:\*|×|\\times|\\cdot)\s*10\s*\^)\s*\{{?([+-]?\d{{1,3}})\}}?"
)
_LETTER = re.compile(r"\(([A-Ja-j])\)(?:\s+\S.*)?|([A-Ja-j])\)(?:\s+\S.*)?", re.DOTALL)
_WORDS = re.compile(r"[^\W\d_]+(?:[\s,.'’-]+[^\W\d_]+)*[.!]?")
_WITH_UNIT = re.compile(r"(.*?\d)\s+([a-zA-Zµ][a-zA-Zµ ]*(?:\^?\{?[23]\}?)?)")
_NOT_UNITS = frozenset(
    "hundred thousand million billion trillion dozen factorial squared cubed times plus minus over pi or to and a b e i j k n x y z".split()
)


def key(answer: str) -> str:
    """The canonical form: a number as "n" or "n/m", a multiple-choice letter as a capital, words in small letters, anything
    else without needless spaces. Percent, degree and dollar signs are dropped; other units stay."""
    text = _untypeset(answer)
    value = _value(text)
    if value is not None:
        return str(value)
    if letter := _LETTER.fullmatch(text):
        return str(letter[1] or letter[2]).upper()
    if len(text) > 1 and _WORDS.fullmatch(text):
        return " ".join(text.casefold().split())
    if (unit := _WITH_UNIT.fullmatch(text)) and (value := _value(unit[1])) is not None:
        return f"{value} {' '.join(unit[2].split())}"
    text = re.sub(r"(?<!\w) | (?!\w)", "", " ".join(text.split()))
    return text.replace(",", ", ").strip()


def same(first: str, second: str) -> bool:
    """Whether two answers are equal: by their keys, else by math-verify within its deadline, if the extra `math` is there.

    A number equals the same number with a unit, and an equation the value on its right. Not transitive.
    """
    one, two = key(first), key(second)
    if one == two or _right_side(one, two) or _unit_apart(one, two):
        return True
    return not (_decided(one) and _decided(two)) and verify.equal(first, second)


def _right_side(one: str, two: str) -> bool:
    return ("=" in one) != ("=" in two) and key(one.rpartition("=")[2]) == key(
        two.rpartition("=")[2]
    )


def _unit_apart(one: str, two: str) -> bool:
    """Whether one is a number and the other the same number with a unit."""
    (number, unit), (other, other_unit) = _split_unit(one), _split_unit(two)
    return number == other is not None and bool(unit) != bool(other_unit)


def _split_unit(found: str) -> tuple[Fraction | None, str]:
    """A number and its unit, "" if it has none; (None, "") for anything else."""
    number, _, unit = found.partition(" ")
    if not unit or (unit[0].isalpha() and _NOT_UNITS.isdisjoint(unit.casefold().split())):
        return _value(number), unit
    return None, ""


def _decided(found: str) -> bool:
    """Whether this key leaves nothing open: two different numbers or units differ, and words are never multiplied letters."""
    return _split_unit(found)[0] is not None or bool(_WORDS.fullmatch(found))


def _untypeset(text: str) -> str:
    """The text without LaTeX that only sets it, fractions as ((a)/(b)), and without signs of percent, degree and dollar."""
    text = _bare(text.replace("−", "-").replace("⁄", "/").replace("{,}", ",").replace("\\$", ""))
    text = _THOUSANDS_SPACE.sub("", text)
    before = None
    while text != before:
        before = text
        text = _bare(_SPACING.sub(" ", _WRAPPED.sub(r" \1 ", text)))
        text = _FRACTION.sub(
            lambda found: f"(({found[1] or found[2] or ''})/({found[3] or found[4] or ''}))", text
        )
        text = _DROPPED_UNIT.sub("", text)
        if text.startswith("{") and text.endswith("}") and text.count("{") == 1:
            text = text[1:-1]
    return text.strip()


def _value(text: str) -> Fraction | None:
    """The exact value of a number, quotient, mixed number or power of ten; None if it is none of these."""
    if not text or len(text) > _MAX_DIGITS:
        return None
    try:
        if found := _NUMBER.fullmatch(text):
            return _signed(_size(found[2]) / _size(found[3] or "1"), found[1])
        if found := _SET_FRACTION.fullmatch(text):
            return _signed(_size(found[3]) / _size(found[5]), found[1], found[2], found[4])
        if found := _MIXED.fullmatch(text):
            sign, whole, above, below = found.groups()[:4] if found[2] else found.groups()[4:]
            return _signed(_size(whole) + _size(above) / _size(below), sign)
        if found := _POWER_OF_TEN.fullmatch(text):
            return _size(found[1]) * Fraction(10) ** int(found[2])
    except ZeroDivisionError:
        pass
    return None


def _size(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").removesuffix("."))


def _signed(size: Fraction, *signs: str) -> Fraction:
    return -size if signs.count("-") % 2 else size
