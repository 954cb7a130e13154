"""The lines of a file that may be larger than memory, one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minireason.errors import UsageError
from minireason.host import files
from minireason.host.journal import MAX_LINE_BYTES

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OTHERS = b"\xff\xfe", b"\xfe\xff"
"""Those of UTF-16 and UTF-32, of which some lines would look like JSON."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank."""

    number: int
    """Its place in the file, from 1."""

    raw: bytes | None
    """Its bytes; None if there are more than `journal.MAX_LINE_BYTES`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file before its lines are looked at."""

    sha256: str
    """The hash of its lines with their numbers."""

    lines: int
    """How many of its lines are not blank."""


def read(path: Path) -> Iterator[Line]:
    """The lines of a file that are not blank; raises UsageError if it cannot be read."""
    number = 0
    try:
        with files.open_regular(path) as file:
            while raw := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                too_long = len(raw) > MAX_LINE_BYTES
                rest = raw
                while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                    rest = file.readline(MAX_LINE_BYTES + 1)
                if number == 1 and raw.startswith(_OTHERS):
                    raise UsageError(f"{path} is in UTF-16 or UTF-32; save it in UTF-8.")
                if number == 1:
                    raw = raw.removeprefix(_BYTE_ORDER_MARK)
                if too_long or raw.strip():
                    yield Line(number, None if too_long else raw)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror or error}); give the path of a file of JSON "
            "lines."
        ) from None


def facts(path: Path) -> Facts:
    """The hash of a file's lines and their number, for which it is read once; raises UsageError."""
    digest, lines = hashlib.sha256(), 0
    for line in read(path):
        digest.update(b"%d " % line.number)
        digest.update(line.raw if line.raw is not None else b"")
        lines += 1
    return Facts(digest.hexdigest(), lines)
