"""Sessions on disk: a head, then one step a line (see `history.py`), only ever appended to.

    {"minireason_session": 1, "created": "2026-11-24T06:00:00+00:00"}

A line is written with one system call and fsync, so that a crash can tear only the last one; a torn one is cut off before
the next is appended. What could not be written, because the disk is full, waits and is written with the next step. Who writes
a file holds a lock on it. A file is data that anybody may have written: nothing in it is trusted, and a line that makes no
sense is left out and counted.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from minireason.errors import SessionError
from minireason.history import History, Step
from minireason.models import places

VERSION = 1
SUFFIX = ".jsonl"
MAX_BYTES = 256 * 2**20
"""A larger file is not taken for a conversation."""

_NAME = re.compile(r"\w[\w .-]{0,99}")


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds.

    `length` is how many of its bytes are whole lines, `missing` the steps that belong after them (the end of a reply that was
    cut off), `problems` are for the user to read.
    """

    history: History
    length: int
    missing: tuple[Step, ...]
    problems: tuple[str, ...]


def read(path: Path) -> Found:
    """Read a session's file; raises SessionError if it is missing, unreadable, no session, or of a newer minireason."""
    raw = _bytes(path)
    *lines, torn = raw.split(b"\n")
    length = len(raw) - len(torn)
    if torn and _object(torn) is not None:  # whole, but for its newline
        lines, torn, length = [*lines, torn], b"", len(raw)
    head = _object(lines[0]) if lines else None
    version = head.get("minireason_session") if head else None
    if not isinstance(version, int):
        raise SessionError(f"{path} is not a session of minireason chat.")
    if version > VERSION:
        raise SessionError(f"{path} was written by a newer minireason (format {version}, this one reads {VERSION}); upgrade to open it.")
    history, damaged = History(), 0
    for line in lines[1:]:
        try:
            history.apply(_object(line) or {})
        except ValueError:
            damaged += 1
    problems = []
    if torn:
        problems.append("the last line was torn and is left out")
    if damaged:
        problems.append(f"{damaged} damaged line{'s are' if damaged > 1 else ' is'} left out")
    missing = history.close()
    if missing is not None:
        problems.append("the last reply was cut off; what had been saved of it is kept")
    return Found(history, length, (missing,) if missing else (), tuple(problems))


class Lock:
    """Keeps a session's file for one writer, until released or the process ends; raises SessionError if another has it.

    On a file system without locks, or where none can be written, there is none. For a `new` file its folder is made.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        path = path.absolute()
        self._beside = path.with_name(f".{path.name}.lock")
        self._lock = FileLock(self._beside, thread_local=False)
        with suppress(OSError, NotImplementedError):
            if new:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not path.parent.exists():
                return
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                message = f"The session {path.stem} is open in another chat; end that one first, or begin another with: minireason chat."
                raise SessionError(message) from None

    def release(self) -> None:
        """Let others write."""
        if self._lock.is_locked:
            with suppress(OSError):  # Windows keeps an open file
                self._beside.unlink(missing_ok=True)
            self._lock.release()


class Transcript:
    """A session's file, open for appending; made with the first step, so that an empty conversation leaves none."""

    def __init__(self, path: Path, lock: Lock, length: int | None = None) -> None:
        """`length`: how many bytes of an existing file are whole lines; None for a file that is to be made."""
        self.path, self.lock = path, lock
        self._length = length
        self._pending: list[bytes] = [] if length is not None else [_line(head())]

    def append(self, steps: Iterable[Step]) -> None:
        """Write steps and all that could not be written before; raises SessionError and keeps them for the next time."""
        self._pending += map(_line, steps)
        try:
            self._write(b"".join(self._pending))
        except OSError as error:
            raise SessionError(f"The conversation cannot be saved to {self.path} ({error.strerror}).") from None
        self._pending.clear()

    def _write(self, data: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if self._length is None else 0)
        handle = os.open(self.path, flags | getattr(os, "O_BINARY", 0), 0o600)
        try:
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


def new() -> Transcript:
    """A session without a name, in a file called after the time."""
    stem = datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    for number in range(1, 1000):
        path = sessions_dir() / f"{stem}{'' if number == 1 else f' {number}'}{SUFFIX}"
        if not path.exists():
            with suppress(SessionError):  # begun in another chat, a moment ago
                return Transcript(path, Lock(path, new=True))
    raise SessionError(f"There are too many sessions of {stem}; name one with --session NAME.")


def write(path: Path, history: History, lock: Lock) -> Transcript:
    """Write a whole conversation to a file, in one move; raises SessionError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    data = b"".join(map(_line, (head(), *history.steps())))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise SessionError(f"The conversation cannot be saved to {path} ({error.strerror}).") from None
    return Transcript(path, lock, len(data))


def head() -> Step:
    """The first line of a file."""
    return {"minireason_session": VERSION, "created": datetime.now(UTC).isoformat(timespec="seconds")}


def sessions_dir() -> Path:
    """Where the chat keeps its sessions."""
    return places.data_dir() / "sessions"


def path_of(name: str) -> Path:
    """The file of a session by its name, or a path to one; raises SessionError for what can be neither."""
    if name.endswith(SUFFIX) or os.sep in name:
        return Path(name).expanduser()
    if not _NAME.fullmatch(name):
        raise SessionError(f"{name!r} cannot be the name of a session; letters, digits, spaces, dots and dashes can.")
    return sessions_dir() / (name + SUFFIX)


def listed() -> list[Path]:
    """The files of all sessions, the last used first."""
    with suppress(OSError):
        files = [path for path in sessions_dir().iterdir() if path.suffix == SUFFIX]
        return sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
    return []


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SessionError(f"{path} is too large to be a session of minireason chat.")
        return path.read_bytes()
    except FileNotFoundError:
        raise SessionError(f"There is no session {path}; minireason sessions lists them.") from None
    except OSError as error:
        raise SessionError(f"{path} cannot be read ({error.strerror}).") from None


def _line(step: Step) -> bytes:
    return json.dumps(step, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _object(line: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
