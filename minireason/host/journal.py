"""JSON lines that survive a crash: what conversations and evaluations keep while they go on.

Lines are only ever appended, with one system call and fsync, so that a crash can tear only the last
one; a torn one is cut off before the next is appended. A file is data that anybody may have
written: nothing in it is trusted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from minireason.host import files, state

MAX_LINE_BYTES = 64 * 2**20
"""A longer line is none of ours.

What follows of it is read as further lines, which make no sense either.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file."""

    value: dict[str, object] | None
    """The JSON object on it; None if it is none."""

    end: int
    """Bytes of the file up to the end of the line."""


def read(path: Path, most_bytes: int | None = None) -> Iterator[Line]:
    """The whole lines of a file, one at a time; a torn last one is left out.

    No more than `most_bytes` are read, and of no line more than MAX_LINE_BYTES: a longer one counts
    as damaged. Raises OSError, see `files.open_regular`.
    """
    end = 0
    with files.open_regular(path, most_bytes) as file:
        while raw := file.readline(MAX_LINE_BYTES):
            value = None
            if len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n"):
                value = _object(raw)
            if value is None and not raw.endswith(b"\n") and len(raw) < MAX_LINE_BYTES:
                return
            end += len(raw)
            if most_bytes is not None and end > most_bytes:
                return
            yield Line(value, end)


class Journal:
    """A file to append to, made when the first lines are written, for its owner's eyes only.

    With `private` an existing file that others may read becomes private too, when lines are
    written to it.
    """

    def __init__(self, path: Path, length: int | None = None, *, private: bool = False) -> None:
        """`length` is how many bytes of an existing file are whole lines; None makes a new file."""
        self.path = path
        self._length, self._private = length, private
        self._pending: list[bytes] = []

    def append(self, objects: Iterable[Mapping[str, object]]) -> None:
        """Write lines, and before them what could not be written earlier.

        Raises OSError, and then keeps them all for the next time.
        """
        self._pending += map(line, objects)
        self._write(b"".join(self._pending))
        self._pending.clear()

    def _write(self, data: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if self._length is None else 0)
        handle = os.open(self.path, flags | getattr(os, "O_BINARY", 0), files.PRIVATE)
        try:
            if self._private:
                files.make_private(handle)
            good = self._length or 0
            self._length = good
            os.ftruncate(handle, good)  # a line that was torn by a crash or a full disk
            os.lseek(handle, max(0, good - 1), os.SEEK_SET)
            if good and os.read(handle, 1) != b"\n":
                data = b"\n" + data
            if (written := os.write(handle, data)) < len(data):
                os.write(handle, data[written:])  # says why
            os.fsync(handle)
            self._length = good + len(data)
        finally:
            os.close(handle)


def line(value: Mapping[str, object]) -> bytes:
    """An object as a line of a file."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _object(raw: bytes) -> dict[str, object] | None:
    try:
        value = state.parse_json(raw)
    except state.Damaged:
        return None
    return value if isinstance(value, dict) else None
