"""Check values from outside: a rule returns the value as it is kept, or raises ValueError.

The message of the ValueError says what the value has to be. A settings class names one rule for
each of its fields, and `check_fields` is the one place where they are applied.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeAlias

from minireason.errors import BadSetting

Rule: TypeAlias = Callable[[Any], Any]

_ELSEWHERE = {
    "reasoning_effort": "effort",
    "max_completion_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "num_ctx": "n_ctx",
    "num_gpu": "n_gpu_layers",
    "num_thread": "n_threads",
    "response_format": "schema",
    "format": "schema",
    "grammar": "regex",
    "think": "thinking",
    "n": "samples",
}
"""Settings by the names that Ollama, llama-cpp-python, transformers and the openai client have."""


def check_fields(settings: Any, rules: Mapping[str, Rule]) -> None:
    """Check every field of a frozen dataclass by its rule; raises BadSetting.

    None passes where it is the default.
    """
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value is None and field.default is None:
            continue
        object.__setattr__(settings, field.name, checked(field.name, value, rules[field.name]))


def check_names(changes: Mapping[str, object], known: Collection[str]) -> None:
    """Check that every change is of a setting that exists; raises BadSetting with the nearest."""
    for name, value in changes.items():
        if name not in known:
            ours = _ELSEWHERE.get(str(name))
            near = [ours] if ours in known else difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise BadSetting(str(name), value, f"there is no such setting; {hint}")


def checked(name: str, value: object, rule: Rule) -> Any:
    """The value as it is kept; raises BadSetting."""
    try:
        return rule(value)
    except ValueError as problem:
        raise BadSetting(name, value, str(problem)) from None


def plain(value: Any) -> Any:
    """A number, truth value or text of numpy's as Python's own, anything else as it is."""
    item = getattr(value, "item", None)
    return item() if callable(item) and getattr(value, "shape", None) == () else value


def number(low: float, high: float, *, above: bool = False) -> Rule:
    """A number from `low` to `high`, without `low` itself if it has to be `above` it."""
    span = f"above {low:g} and at most {high:g}" if above else f"a number from {low:g} to {high:g}"

    def rule(value: Any) -> float:
        value = plain(value)
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or (above and value == low):
            raise ValueError(f"has to be {span}")
        return float(value)

    return rule


def whole(low: int, high: int | None = None) -> Rule:
    """A whole number from `low` on, up to `high` if there is one."""
    span = f"of at least {low}" if high is None else f"from {low} to {high}"

    def rule(value: Any) -> int:
        value = plain(value)
        is_whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not is_whole or value < low or (high is not None and value > high):
            raise ValueError(f"has to be a whole number {span}")
        return int(value)

    return rule


def one_of(names: Iterable[str], other: Rule | None = None) -> Rule:
    """One of these words, or what the `other` rule takes."""
    known = tuple(names)

    def rule(value: Any) -> Any:
        if isinstance(value, str) and value in known:
            return str(value)
        if other is None:
            raise ValueError(f"has to be one of {', '.join(known)}")
        try:
            return other(value)
        except ValueError as problem:
            otherwise = str(problem).removeprefix("has to be ")
            raise ValueError(f"has to be {', '.join(known)} or {otherwise}") from None

    return rule


def yes_or_no(value: Any) -> bool:
    """True or False."""
    value = plain(value)
    if not isinstance(value, bool):
        raise ValueError("has to be True or False")
    return value


def text(value: Any) -> str:
    """Text that UTF-8 can hold."""
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("has to be text, in valid Unicode")
    return str(value)


def texts(*, at_least: int) -> Rule:
    """So many texts or more, none of them empty, as a tuple; a text alone is no list of texts."""
    problem = (
        f"has to be a list of strings, {'at least one and ' if at_least else ''}none of them empty"
    )

    def rule(value: Any) -> tuple[str, ...]:
        value = plain(value)
        is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
        kept = tuple(value) if is_list else ()
        whole_ones = all(isinstance(one, str) and one for one in kept)
        if not is_list or len(kept) < at_least or not whole_ones:
            raise ValueError(problem)
        return tuple(map(text, kept))

    return rule


def function(value: Any) -> Callable[..., Any]:
    """Something that can be called."""
    if not callable(value):
        raise ValueError("has to be a function")
    called: Callable[..., Any] = value
    return called
