"""State files: the small JSON and TOML files of minireason and of other tools.

A state file is data that anybody may have written. It is read so that no content can do harm: its
size, its depth and the numbers in it are bounded and its types are checked. What does not pass is
said to be damaged, and nothing is raised but `Damaged`, by the functions that parse.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from minireason.host import files

MAX_BYTES = 4 * 2**20
"""A larger file is not taken for a state file."""

MAX_DEPTH = 64
"""Lists and tables in one another.

What is deeper cannot be written or compared again without a RecursionError.
"""

MAX_WHOLE = 2**63 - 1
MAX_NUMBER = 1e18

Form: TypeAlias = Any
"""What a value has to be.

A type (str, int, float, bool), [form] for a list of such, {key: form} for a table with at least
these keys. A float may be written as a whole number; numbers are finite and within the bounds
above.
"""


class Damaged(ValueError):
    """This is no JSON or TOML, or nests too deeply; the message is a half sentence for the user."""


@dataclass(frozen=True, slots=True)
class State:
    """What a state file holds."""

    value: Any
    """Its content; None where it is missing or damaged."""

    problem: str = ""
    """What is wrong with it, as half a sentence; "" where nothing is."""


def read_json(path: Path, form: Form, most_bytes: int = MAX_BYTES) -> State:
    """Read a state file that has to be of this form."""
    text = read_text(path, most_bytes)
    if text.value is None:
        return text
    try:
        value = parse_json(text.value)
    except Damaged as error:
        return State(None, str(error))
    if not fits(value, form):
        return State(None, "does not hold what it should")
    return State(value)


def read_text(path: Path, most_bytes: int = MAX_BYTES) -> State:
    """Read a state file's text."""
    try:
        return State(files.read_bytes(path, most_bytes).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return State(None)
    except OSError as error:
        return State(None, f"cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        return State(None, "is no text in UTF-8")


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text; raises Damaged."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise Damaged("nests too deeply") from None
    except ValueError as error:  # a number of 5,000 digits too
        raise Damaged(f"is no JSON ({error})") from None
    return shallow(value)


def not_json(line: bytes) -> str:
    """What is wrong with a line of a user's file that `parse_json` refuses."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8 text; convert the file first, for example with iconv"
    return "it is no JSON"


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text; raises Damaged."""
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise Damaged("nests too deeply") from None
    except ValueError as error:
        raise Damaged(str(error)) from None
    shallow(table)
    return table


def fits(value: object, form: Form) -> bool:
    """Whether a value is of this form."""
    if isinstance(form, dict):
        return isinstance(value, dict) and all(
            key in value and fits(value[key], inner) for key, inner in form.items()
        )
    if isinstance(form, list):
        return isinstance(value, list) and all(fits(item, form[0]) for item in value)
    if isinstance(value, bool) or form is bool:
        return isinstance(value, bool) and form is bool
    if form is int:
        return isinstance(value, int) and abs(value) <= MAX_WHOLE
    if form is float:
        return is_number(value)
    return isinstance(value, form)


def is_number(value: object, most: float = MAX_NUMBER) -> bool:
    """Whether this is a finite number of at most this size, and neither true nor false."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -most <= value <= most and math.isfinite(value)


def shallow(value: Any, most: int = MAX_DEPTH) -> Any:
    """The value, if it nests no deeper than `most`; raises Damaged.

    It is looked at level by level, so that no depth is too much for looking.
    """
    level = [value]
    for _ in range(most):
        level = [child for item in level for child in _children(item)]
        if not level:
            return value
    raise Damaged("nests too deeply")


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
