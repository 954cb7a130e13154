"""The seam of a batch: what a form of lines can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from minireason.batch.jobs import Defaults, Item
from minireason.batch.lines import Line
from minireason.batch.local import Answered

OWN, OPENAI = "minireason", "openai"
"""The names of the forms."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What an output's line says of its reply."""

    id: str | int
    sample: int
    finish_reason: object
    """"length" of one that was cut off."""


class Form(Protocol):
    """How a line of the input is read, and one of the output written and read again."""

    name: str
    """What the run's file knows it by."""

    samples: bool
    """Whether a line may have several replies."""

    def item(self, line: Line, defaults: Defaults) -> Item:
        """What is on a line; raises UsageError that says what is wrong with it."""
        ...

    def written(self, answered: Answered, *, numbered: bool) -> dict[str, object]:
        """The object of a reply's line; `numbered`: each item has several."""
        ...

    def noted(self, value: dict[str, Any]) -> Noted | None:
        """What the object of a reply's line says, None where it makes no sense."""
        ...
