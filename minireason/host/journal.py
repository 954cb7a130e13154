"""JSON lines that survive a crash: what conversations and long runs keep while they go on.

Lines are only ever appended, with one system call, so that a killed process loses none and a crash
can tear only the last one; a torn one is cut off before the next is appended. A `Journal` has them
on the disk when it returns. An `Appender` brings them there within a second, and holds nobody up.
A file is data that anybody may have written: nothing in it is trusted.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from minireason.errors import StoreError, UsageError
from minireason.host import files, state

MAX_LINE_BYTES = 64 * 2**20
"""A longer line is none of ours.

What follows of it is read as further lines, which make no sense either.
"""

SYNC_EVERY_S = 0.5
"""Between two times that an `Appender` brings what was written to the disk: with the time that
takes, less than a second."""


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
        handle = _opened(self.path, self._length)
        try:
            if self._private:
                files.make_private(handle)
            self._length = self._length or 0
            data = _missing_end(handle, self._length) + data
            _write(handle, data)
            os.fsync(handle)
            self._length += len(data)
        finally:
            os.close(handle)


class Appender:
    """A file open for more lines; a context manager, whose end brings all to the disk.

    What somebody else does to the file meanwhile is an error with the next line: cuts it, moves it,
    or adds to it, as another run may by another name of the file. `noun` is what the lines are, for
    errors.
    """

    def __init__(self, path: Path, length: int | None, noun: str) -> None:
        """For `length` see `Journal`; a link is followed. A torn last line is cut off.

        Raises StoreError.
        """
        self._path, self._noun = path, noun
        self._dirty, self._ended = threading.Event(), threading.Event()
        self._problem: OSError | None = None
        self._end = length or 0
        self._file = Path(os.path.realpath(path))  # which is content with a link to itself
        try:
            self._handle = _opened(self._file, length)
            try:
                self._write(_missing_end(self._handle, self._end))
                os.fsync(self._handle)
                files.sync_folder(self._file.parent)
            except BaseException:
                os.close(self._handle)
                raise
        except OSError as error:
            raise cannot_write(noun, path, error) from None
        self._thread = threading.Thread(target=self._sync_often, name="sync", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        """Bring all to the disk; raises StoreError, unless there is an error already."""
        self._ended.set()
        self._thread.join()
        try:
            self._sync()
            self._check_alone()
        except OSError as error:
            self._problem = self._problem or error
        finally:
            os.close(self._handle)
        if self._problem and kind is None:
            raise cannot_write(self._noun, self._path, self._problem)

    def append(self, *values: Mapping[str, object]) -> None:
        """Add lines; from here on a killed process does not lose them.

        Raises StoreError, and UsageError for a line that could not be read again; then nothing of
        them is left in the file.
        """
        lines = list(map(line, values))
        if any(len(one) > MAX_LINE_BYTES for one in lines):
            raise UsageError(f"its line among the {self._noun} would be longer than 64 MiB")
        try:
            if self._problem:
                raise self._problem
            self._check_alone()
            self._write(b"".join(lines))
        except OSError as error:
            raise cannot_write(self._noun, self._path, error) from None
        self._dirty.set()

    def _check_alone(self) -> None:
        """Raise OSError where the file is not what we have left."""
        now = os.fstat(self._handle)
        if now.st_size != self._end or not os.path.samestat(now, os.stat(self._file)):
            raise OSError(errno.EBUSY, "somebody else has changed it")

    def _write(self, data: bytes) -> None:
        try:
            _write(self._handle, data)
        except OSError:
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)
            raise
        self._end += len(data)

    def _sync_often(self) -> None:
        while not self._ended.wait(SYNC_EVERY_S):
            try:
                self._sync()
            except OSError as error:  # told by whoever writes next
                self._problem = error
                return

    def _sync(self) -> None:
        if self._dirty.is_set():
            self._dirty.clear()
            os.fsync(self._handle)


def cannot_write(noun: str, path: Path, error: OSError) -> StoreError:
    """What to say where the lines of a run cannot be written."""
    problem = f"The {noun} cannot be written to {path} ({error.strerror})"
    return StoreError(f"{problem}; mend that, and run the same command again.")


def line(value: Mapping[str, object]) -> bytes:
    """An object as a line of a file."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _object(raw: bytes) -> dict[str, object] | None:
    try:
        value = state.parse_json(raw)
    except state.Damaged:
        return None
    return value if isinstance(value, dict) else None


def _opened(path: Path, length: int | None) -> int:
    """A file to append to; one without a `length` is made, and never one that is there taken."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | (os.O_EXCL if length is None else 0)
    return os.open(path, flags | getattr(os, "O_BINARY", 0), files.PRIVATE)


def _missing_end(handle: int, length: int) -> bytes:
    """Cut off what a crash or a full disk tore; what the last whole line needs for its end."""
    os.ftruncate(handle, length)
    os.lseek(handle, max(0, length - 1), os.SEEK_SET)
    return b"\n" if length and os.read(handle, 1) != b"\n" else b""


def _write(handle: int, data: bytes) -> None:
    if (written := os.write(handle, data)) < len(data):
        os.write(handle, data[written:])  # says why
