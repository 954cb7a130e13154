"""Whether two answers are the same: by an exact key, and where keys leave it open by math-verify.

A key reads the notation (`notation.plain`), then the structure: a list, tuple, interval or set of
items, names with their values, inequalities. Numbers are exact. Keys that differ are still the same
answer where one says more than the other: a unit, or the name of the value.
"""

from __future__ import annotations

from minireason.answers import canonical, math_verify, structure, values
from minireason.answers.notation import plain
from minireason.answers.symbols import latex

_MAX_READ_CHARS = 4_000
"""Of longer texts the key is the text."""
_MAX_ROUNDS = 6
"""A form is read again until it stays as it is; all but broken notation does so the first time."""


def key(answer: str) -> str:
    """The canonical form; answers with equal ones are the same. Takes time linear in the answer.

    A number is "n" or "n/m", a multiple-choice letter a capital, words are in small letters, items
    of a list or set are sorted, anything else is without needless spaces. Percent, degree and
    currency signs are dropped; other units stay. Of notation so broken that no form of it stays as
    it is when read again, the key is the answer as it is written.
    """
    text = answer
    for _ in range(_MAX_ROUNDS):
        before, text = text, _read(text)
        if text == before:
            return text
    return " ".join(answer.split())


def _read(text: str) -> str:
    text = plain(text)
    return canonical.form(text) if len(text) <= _MAX_READ_CHARS else text


def same(first: str, second: str) -> bool:
    """Whether two answers are equal: by their keys, else by math-verify, if `math` is installed.

    A number equals the same number with a unit, and a value the equation that names it, if all of
    the equation's left side is a name. A tuple, a set and a bare list are three answers. Symmetric,
    but not transitive.
    """
    one, two = key(first), key(second)
    if one == two:
        return True
    also_one, also_two = _also(first, one), _also(second, two)
    if one in also_two or two in also_one:
        return True
    if not one or not two or _differ({one, *also_one}, {two, *also_two}):
        return False
    if _names_the_other(one, two) or _names_the_other(two, one):
        first, second = (text.rpartition("=")[2] for text in (first, second))
    return math_verify.equal(latex(first), latex(second))


def _names_the_other(one: str, two: str) -> bool:
    return bool(structure.named(one)) and not structure.relation(two)


def _also(answer: str, key: str) -> set[str]:
    """What an answer with this key may stand for besides, the values of its names for instance."""
    also = set(_named_values(key))
    also |= {str(number) for each in {key} | also if (number := _without_unit(each)) is not None}
    comma = values.comma_value(plain(answer))
    if comma is not None:
        also |= {str(comma), ", ".join(canonical.items(plain(answer)))}
    return also - {key}


def _named_values(key: str) -> set[str]:
    pairs = [structure.named(item) for item in canonical.items(key)]
    if len(pairs) > 1:
        if not all(pairs):
            return set()
        return {canonical.form(", ".join(pair[2] for pair in pairs if pair))}
    if value := pairs[0] if pairs else None:
        bare = structure.brackets(value[2])
        return {value[2]} | ({canonical.form(bare[1])} if bare and value[0][0] == "(" else set())
    chain = structure.relation(key)
    if chain and set(chain[1]) == {"="}:
        return {chain[0][-1]} if canonical.is_computation(chain[0]) else set()
    return set()


def _without_unit(key: str) -> object:
    number, unit = values.split_unit(key)
    return number if unit else None


def _differ(one: set[str], two: set[str]) -> bool:
    """Whether the keys, with what they may stand for, leave nothing open."""
    if all(map(canonical.is_decided, one)) and all(map(canonical.is_decided, two)):
        return True
    kinds_of_one, kinds_of_two = ({canonical.kind(key) for key in keys} for keys in (one, two))
    if "" not in kinds_of_one | kinds_of_two:
        return not kinds_of_one & kinds_of_two
    return any(
        all(map(_is_equation, these)) and not any(map(structure.relation, those))
        for these, those in ((one, two), (two, one))
    )


def _is_equation(key: str) -> bool:
    chain = structure.relation(key)
    return bool(chain and "=" in chain[1])
