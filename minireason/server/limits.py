"""How much a request may ask of what it shares with others: the time of the model's thread.

Stop texts are looked for at every token, and a form of the answer is compiled before its first one,
by a thread that nobody can end.
"""

from __future__ import annotations

import json

from minireason.errors import BadSetting
from minireason.settings import Changes

MOST_STOPS = 256
MOST_FORM_CHARS = 2**16
"""How long a regex may be, and the JSON of a schema or of choices."""

FORMS = ("schema", "choices", "regex")


def check(changes: Changes) -> None:
    """Raise BadSetting for stop texts that are too many, and for a form that is too large."""
    stops = changes.get("stop", ())
    if len(stops) > MOST_STOPS:
        raise BadSetting("stop", stops, f"may be {MOST_STOPS} texts at most; send fewer")
    for name in FORMS:
        form = changes.get(name)
        if form is not None and _chars(form) > MOST_FORM_CHARS:
            problem = f"may have {MOST_FORM_CHARS:,} characters at most; make it smaller"
            raise BadSetting(name, form, problem)


def _chars(form: object) -> int:
    """The length of a regex, or of the JSON of anything else."""
    if isinstance(form, str):
        return len(form)
    try:
        return len(json.dumps(form, ensure_ascii=False))
    except ValueError:  # a number of more digits than Python writes
        return MOST_FORM_CHARS + 1
