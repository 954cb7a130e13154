"""What the doctor says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `mend` is what to do where something is wrong."""

    what: str
    found: str
    mend: str = ""
