"""Points in time and lengths of time, as APIs write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|us|µs|ns|h|m|s)")
_LONGEST = 100


def rfc3339(seconds: float) -> str:
    """Seconds since 1970 as a date and time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def nanoseconds(seconds: float) -> int:
    """Seconds as whole nanoseconds."""
    return round(seconds * 1e9)


def duration_s(text: str) -> float:
    """The seconds that a Go duration such as "1h30m" or "-1s" means, or a bare number of them.

    Raises ValueError for anything else.
    """
    if len(text) > _LONGEST:
        raise ValueError(text)
    sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text.removeprefix("+"))
    parts = list(_PART.finditer(rest))
    if parts and "".join(part[0] for part in parts) == rest:
        return sign * sum(float(part[1]) * _UNITS[part[2]] for part in parts)
    if not rest.replace(".", "", 1).isdecimal():
        raise ValueError(text)
    return sign * float(rest)
