"""Which form the lines of a file have: our own, or that of OpenAI's batch API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minireason.batch import lines
from minireason.batch.base import OPENAI, OWN, Form, Noted
from minireason.batch.jobs import REPLY, SAMPLE, Defaults, Item, is_openai, line_object, read_item
from minireason.batch.lines import Line
from minireason.batch.local import Answered
from minireason.errors import UsageError


class OwnForm:
    """Our own, see `jobs`."""

    name, samples = OWN, True

    def item(self, line: Line, defaults: Defaults) -> Item:
        """See `Form.item`."""
        return read_item(line, defaults)

    def written(self, answered: Answered, *, numbered: bool) -> dict[str, object]:
        """See `Form.written`."""
        return answered.json(numbered=numbered)

    def noted(self, value: dict[str, Any]) -> Noted | None:
        """See `Form.noted`."""
        name, sample, reply = value.get("id"), value.get(SAMPLE, 0), value.get(REPLY)
        if not (isinstance(name, str | int) and isinstance(sample, int)):
            return None
        return Noted(name, sample, reply.get("finish_reason")) if isinstance(reply, dict) else None


def form_of(path: Path) -> Form:
    """The form of the first line that is an object.

    Raises UsageError if the file cannot be read, or as `named` does.
    """
    for line in lines.read(path):
        try:
            value = line_object(line.raw)
        except UsageError:
            continue
        return named(OPENAI if is_openai(value) else OWN)
    return OwnForm()


def named(name: str) -> Form:
    """The form of this name; raises UsageError without the extra that it needs."""
    if name == OWN:
        return OwnForm()
    try:
        from minireason.batch.openai import OpenAIForm
    except ModuleNotFoundError:
        raise UsageError(
            "Lines of OpenAI's batch API need the extra `schema`; install it with: "
            "pip install 'minireason[schema]'."
        ) from None
    return OpenAIForm()
