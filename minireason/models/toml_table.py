"""One table of a TOML file at a time, each field read with a check of its type.

What is wrong is told with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from minireason.errors import BadCatalog
from minireason.host import state

_MOST_SCORE = 1e6


class Table:
    """One table of a file; `line_of` is asked for the line of an error, and only then.

    The methods read a field of one type; they raise BadCatalog for another type, and where a field
    without a default is missing.
    """

    def __init__(
        self, name: str, table: object, line_of: Callable[[str, str], int | None], source: str
    ) -> None:
        self.name, self._line_of, self.source = name, line_of, source
        if not isinstance(table, dict):
            problem = "has to be a table, [name] with its fields below"
            raise BadCatalog(source, line_of(name, ""), name, problem)
        self._table: Mapping[str, Any] = table

    def text(self, key: str, default: str | None = None) -> str:
        """A text."""
        value = self._value(key, default)
        return value if isinstance(value, str) else self.refuse(key, "has to be text in quotes")

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number of at least 0."""
        value = self._value(key, default)
        if not state.fits(value, int) or value < 0:
            self.refuse(key, "has to be a whole number")
        return int(value)

    def numbers(self) -> dict[str, float]:
        """Every field of this table, all of them numbers."""
        for key, value in self._table.items():
            if not state.is_number(value, _MOST_SCORE):
                self.refuse(key, "has to be a number")
        return {key: float(value) for key, value in self._table.items()}

    def flag(self, key: str) -> bool:
        """True or false; false where it is missing."""
        value = self._value(key, False)
        return value if isinstance(value, bool) else self.refuse(key, "has to be true or false")

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        value = self._value(key, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            self.refuse(key, "has to be a list of texts")
        return tuple(value)

    def table(self, key: str, default: Mapping[str, Any] | None = None) -> Table:
        """A table in this one."""
        value = self._value(key, default)
        if not isinstance(value, dict):
            self.refuse(key, "has to be a table")
        return Table(f"{self.name}.{key}", value, self._line_of, self.source)

    def items(self) -> Mapping[str, Any]:
        """Every field as it is, unchecked."""
        return self._table

    def refuse(self, key: str, problem: str) -> Any:
        """Raise BadCatalog about a field."""
        raise BadCatalog(self.source, self._line_of(self.name, key), f"{self.name}.{key}", problem)

    def _value(self, key: str, default: Any) -> Any:
        if key not in self._table and default is None:
            self.refuse(key, "is missing")
        return self._table.get(key, default)


def line_of(text: str, table: str, key: str) -> int | None:
    """The line of a field, else of its table's header or of the field that holds it.

    tomllib does not tell, so it is searched for.
    """
    outer, _, own = table.rpartition(".")
    nearest = line_of(text, outer, own) if outer else None
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.fullmatch(r"\s*\[([^\[\]]+)\]\s*(#.*)?", line):
            inside = header[1].replace('"', "").replace(" ", "") == table
            nearest = number if inside else nearest
        elif inside and key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
            return number
    return nearest
