"""The canonical form of a plain text: numbers by value, items in order, relations one way round.

Read again, a canonical form stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from minireason.answers import structure, values

_MAX_DEPTH = 12

_LETTER = re.compile(r"\(([A-Ja-j])\)(?:\s+\S.*)?|([A-Ja-j])\)(?:\s+\S.*)?", re.DOTALL)
_WORDS = re.compile(r"[^\W\d_α-ω]+(?:[\s,.'’-]+[^\W\d_α-ω]+)*[.!]?")
_DROPPED = re.compile(
    r"\s*(?:%|°|(?<![a-z])(?:percent(?:age)?|pct|degrees?)(?:\s+points?)?)$", re.IGNORECASE
)
_DROPPED_CHARS = 24
_NEEDLESS_SPACE = re.compile(r"(?<![^\W\u0370-\u03ff]) | (?![^\W\u0370-\u03ff])")
_SPELT = {"<=": "≤", ">=": "≥", "=<": "≤", "!=": "≠"}
_SPELT_RELATION = re.compile("|".join(_SPELT))
_MARKS = " \t\r\n*_`\"“”'"
_QUOTIENT = re.compile(r"([+-]?)\(?\(([^()]*)\)/\(([^()]*)\)\)?")
_ATOM = re.compile(r"√?\w+")


def form(text: str) -> str:
    """The canonical form of what `notation.plain` gave."""
    text = _without_marks(text)
    if letter := _LETTER.fullmatch(text):
        return str(letter[1] or letter[2]).upper()
    return _form(_SPELT_RELATION.sub(lambda spelt: _SPELT[spelt[0]], text), _MAX_DEPTH)


def items(text: str) -> list[str]:
    """The canonical items of a bare list; one for any other text."""
    pieces = _pieces(text.strip(), tight=True)
    return _sorted([_form(piece, _MAX_DEPTH - 1) for piece in pieces])


def kind(form: str) -> str:
    """The brackets around several items, "list" for a bare list of them, "" for anything else."""
    bracketed = structure.brackets(form)
    if bracketed:
        opening, content, closing = bracketed
        return opening + closing if len(_pieces(content, tight=True)) > 1 else ""
    return "list" if len(_pieces(form, tight=True)) > 1 else ""


def is_decided(form: str) -> bool:
    """Whether any other form is another answer.

    So it is with numbers, with units or not, with words, which are never multiplied letters, and
    with lists, tuples and sets of them.
    """
    if values.split_unit(form)[0] is not None or _WORDS.fullmatch(form):
        return True
    bracketed = structure.brackets(form)
    pieces = _pieces(bracketed[1] if bracketed else form, tight=True)
    return (len(pieces) > 1 or bool(bracketed)) and all(
        values.split_unit(piece)[0] is not None or bool(_WORDS.fullmatch(piece)) for piece in pieces
    )


def is_computation(sides: Sequence[str]) -> bool:
    """Whether a chain of equal sides begins and ends without an unknown: 21 + 49 = 70."""
    return not any(char.isalpha() for char in sides[0] + sides[-1])


def _form(text: str, depth: int) -> str:
    number = _without_percent(text.strip())
    if number != text.strip() and (comma := values.comma_value(number)) is not None:
        return str(comma)
    text = number
    if (simple := _simple(text)) is not None:
        return simple
    text = structure.without_needless_brackets(text)
    if (simple := _simple(text)) is not None:
        return simple
    if not depth:
        return squeezed(text)
    pieces = _both_signs(_pieces(text, tight=depth < _MAX_DEPTH))
    if len(pieces) > 1:
        return _list([_form(piece, depth - 1) for piece in pieces])
    if bracketed := structure.brackets(text):
        return _bracketed(*bracketed, depth - 1)
    if chain := structure.relation(text):
        return _related(*chain, depth - 1)
    return _quotient(squeezed(text.removeprefix("+")))


def _simple(text: str) -> str | None:
    """The form of a number, with a unit or not, and of words."""
    number = values.value(text)
    if number is not None:
        return str(number)
    if _WORDS.fullmatch(text):
        return " ".join(text.casefold().split()) if len(text) > 1 else text
    if with_unit := values.with_unit(text):
        return f"{with_unit[0]} {squeezed(with_unit[1])}"
    return None


def _without_marks(text: str) -> str:
    """Without quotes and marks around it and the full stop behind it; "0.333..." keeps its dots."""
    while True:
        shorter = text.strip(_MARKS)
        if shorter.endswith(".") and not shorter.endswith(".."):
            shorter = shorter[:-1]
        if shorter == text:
            return text
        text = shorter


def _without_percent(text: str) -> str:
    end = len(text)
    while dropped := _DROPPED.search(text, max(0, end - _DROPPED_CHARS), end):
        end = dropped.start()
    return text[:end]


def squeezed(text: str) -> str:
    """Without spaces, but one between letters or digits and one behind a comma."""
    return _NEEDLESS_SPACE.sub("", " ".join(text.split())).replace(",", ", ").strip()


def _pieces(text: str, *, tight: bool) -> list[str]:
    """What stands between top-level separators; `tight` commas separate thousands too."""
    signs = [sign for sign in structure.top_level(text) if sign.text in (",", ";", "and", "or")]
    if semicolons := [sign for sign in signs if sign.text == ";"]:
        groups = structure.cut(text, semicolons)
        return [piece for group in groups for piece in _group(group) if piece]
    loose = [sign for sign in signs if sign.text != "," or text[sign.end : sign.end + 1] == " "]
    pieces = [piece for piece in structure.cut(text, loose) if piece]
    if not tight and len(pieces) > 1:
        numbers = [piece for piece in pieces if "," in piece and values.value(piece) is not None]
        if not numbers:
            return [part for piece in pieces for part in _pieces(piece, tight=True)]
        return pieces
    return [piece for piece in structure.cut(text, signs) if piece]


def _group(group: str) -> list[str]:
    """A group between semicolons: a number with a decimal comma, or what belongs together."""
    comma = values.comma_value(group)
    return [group] if comma is None else [str(comma)]


def _both_signs(pieces: Sequence[str]) -> list[str]:
    """ "±" alone at the top level of a piece stands for two."""
    both: list[str] = []
    for piece in pieces:
        signs = [sign for sign in structure.top_level(piece) if sign.text in ("±", "∓")]
        if len(signs) == 1 and signs[0].text == "±":
            before, after = structure.cut(piece, signs)
            both += [f"{before}+{after}", f"{before}-{after}"]
        else:
            both.append(piece)
    return both


def _list(forms: list[str]) -> str:
    """The items of a bare list, sorted.

    A name goes to the values behind it, and values of different names are one tuple.
    """
    carried: list[str] = []
    name = ""
    for item in forms:
        if pair := structure.named(item):
            name = pair[0] if pair[1] == "=" else ""
        elif structure.relation(item) or not any(map(str.isdigit, item)):
            name = ""
        elif name:
            item = f"{name}={item}"
        carried.append(item)
    pairs = [structure.named(item) for item in carried]
    assigned = {pair[0]: pair[2] for pair in pairs if pair and pair[1] == "="}
    if len(assigned) == len(carried) > 1:
        return _assignment(assigned)
    return ", ".join(_sorted(carried))


def _assignment(assigned: dict[str, str]) -> str:
    ordered = sorted(assigned)
    return f"({', '.join(ordered)})=({', '.join(assigned[name] for name in ordered)})"


def _sorted(forms: Sequence[str]) -> list[str]:
    def place(item: str) -> tuple[bool, Fraction, str]:
        number = values.value(item)
        return number is None, number or Fraction(0), item

    return sorted(forms, key=place)


def _bracketed(opening: str, content: str, closing: str, depth: int) -> str:
    pieces = _pieces(content, tight=True)
    if opening == "\\{" and closing == "\\}":
        forms = {_form(piece, depth) for piece in _both_signs(pieces)}
        return f"\\{{{', '.join(_sorted(list(forms)))}\\}}"
    forms_in_order = [_form(piece, depth) for piece in pieces]
    return f"{opening}{', '.join(forms_in_order)}{closing}"


def _related(sides: list[str], signs: str, depth: int) -> str:
    forms = [
        side if structure.is_name(side) else _form(side, depth) for side in map(squeezed, sides)
    ]
    if set(signs) <= {"=", "≈"}:
        return _equal(forms, signs)
    forms, signs = structure.ascending(forms, signs)
    return forms[0] + "".join(sign + side for sign, side in zip(signs, forms[1:], strict=True))


def _equal(sides: list[str], signs: str) -> str:
    """A chain of equal sides: of "x = 2 + 3 = 5 ≈ 5.0" stays "x=5"; what is only near goes."""
    exact = signs.find("≈")
    if exact > 0 or (exact == 0 and not structure.is_name(sides[0]) and sides[0]):
        sides = sides[: exact + 1]
    while sides and not sides[0]:
        sides = sides[1:]
    if not sides:
        return ""
    between = sides[1:-1]
    if structure.is_name(sides[0]) and not any(map(structure.is_name, between)):
        sides = [sides[0], *sides[-1:]] if len(sides) > 1 else sides
    if len(sides) == 2 and structure.is_name(sides[1]) and not structure.is_name(sides[0]):
        sides = sides[::-1]
    return _assigned(*sides) if len(sides) == 2 else "=".join(sides)


def _assigned(name: str, value: str) -> str:
    """Both sides of an equation; where several names have several values, sorted by name."""
    left, right = structure.brackets(name), structure.brackets(value)
    if structure.is_name(name) and left and right:
        all_names, all_values = (_pieces(side[1], tight=True) for side in (left, right))
        if len(set(all_names)) == len(all_names) == len(all_values) > 1:
            return _assignment(dict(zip(all_names, all_values, strict=True)))
    return f"{name}={value}"


def _quotient(text: str) -> str:
    """((π)/(2)) as π/2, ((x+1)/(2)) as (x+1)/2."""
    match = _QUOTIENT.fullmatch(text)
    if not match:
        return text
    above, below = (side if _ATOM.fullmatch(side) else f"({side})" for side in match.groups()[1:])
    return f"{match[1]}{above}/{below}"
