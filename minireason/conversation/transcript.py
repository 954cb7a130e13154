"""Sessions on disk: a head, then one step a line (see `history.py`), only ever appended to.

    {"minireason_session": 1, "created": "2026-11-24T06:00:00+00:00"}

What could not be written, because the disk is full, waits and is written with the next step. Who
writes a file holds a lock on it. A line that makes no sense is left out and counted.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from minireason.conversation.history import History, Step
from minireason.errors import SessionError, shortened
from minireason.host import files, journal, paths
from minireason.host.lock import FileLock

VERSION = 1
SUFFIX = ".jsonl"
MAX_BYTES = 256 * 2**20
"""A larger file is not taken for a conversation."""

_MOST_OF_A_NAME = 240  # a lock's name beside it is longer, and 255 bytes are what file systems take
_NAME = re.compile(r"\w[\w .-]{0,99}")


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file holds.

    `length` is how many of its bytes are whole lines, `missing` the steps that belong after them
    (the end of a reply that was cut off), `problems` are for the user to read.
    """

    history: History
    length: int
    missing: tuple[Step, ...]
    problems: tuple[str, ...]


def read(path: Path) -> Saved:
    """Read a session's file.

    Raises SessionError if it is missing, unreadable, no session, or of a newer minireason.
    """
    lines, torn = _lines(path)
    head = lines[0].value if lines else None
    version = head.get("minireason_session") if head else None
    if not isinstance(version, int):
        raise SessionError(f"{path} is not a session of minireason chat.")
    if version > VERSION:
        raise SessionError(
            f"{path} was written by a newer minireason (format {version}, this one reads "
            f"{VERSION}); upgrade to open it."
        )
    history, damaged = History(), 0
    for line in lines[1:]:
        try:
            history.apply(line.value or {})
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
    return Saved(history, lines[-1].end, (missing,) if missing else (), tuple(problems))


class Lock:
    """Keeps a session's file for one writer, until released or the process ends.

    Raises SessionError if another has it.

    On a file system without locks, or where none can be written, there is none. For a `new` file
    its folder is made.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        path = path.absolute()
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        with suppress(OSError):
            if new:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not path.parent.exists():
                return
            if not self._lock.acquire():
                raise SessionError(
                    f"The session {path.stem} is open in another chat; end that one first, or "
                    "begin another with: minireason chat."
                )

    def release(self) -> None:
        """Let others write."""
        self._lock.release(remove=True)


class Transcript:
    """A session's file, open for appending.

    Made with the first step, so that an empty conversation leaves none.
    """

    def __init__(
        self, path: Path, lock: Lock, length: int | None = None, first: Iterable[Step] = ()
    ) -> None:
        """`length`: how many bytes of an existing file are whole lines; None for a new one.

        `first` are steps that wait for the next one, and are written before it.
        """
        self.path, self.lock = path, lock
        self._journal = journal.Journal(path, length, private=True)
        self._head = [*([head()] if length is None else ()), *first]

    def append(self, steps: Iterable[Step]) -> None:
        """Write steps and all that could not be written before.

        Raises SessionError and keeps them for the next time.
        """
        steps, self._head = [*self._head, *steps], []
        try:
            self._journal.append(steps)
        except OSError as error:
            raise SessionError(
                f"The conversation cannot be saved to {self.path} ({error.strerror})."
            ) from None


def new(first: Iterable[Step] = ()) -> Transcript:
    """A session without a name, in a file called after the time; for `first` see `Transcript`.

    Its name is one word to a shell.
    """
    stem = datetime.now().strftime("%Y-%m-%d_%H.%M.%S")
    for number in range(1, 1000):
        path = sessions_dir() / f"{stem}{'' if number == 1 else f'-{number}'}{SUFFIX}"
        if not path.exists():
            with suppress(SessionError):  # begun in another chat, a moment ago
                return Transcript(path, Lock(path, new=True), first=first)
    raise SessionError(f"There are too many sessions of {stem}; name one with --session NAME.")


def write(path: Path, history: History, lock: Lock) -> Transcript:
    """Write a whole conversation to a file, in one move; raises SessionError."""
    data = b"".join(map(journal.line, (head(), *history.steps())))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_whole(path, data, files.PRIVATE)
    except OSError as error:
        raise SessionError(
            f"The conversation cannot be saved to {path} ({error.strerror})."
        ) from None
    return Transcript(path, lock, len(data))


def head() -> Step:
    """The first line of a file."""
    return {
        "minireason_session": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def sessions_dir() -> Path:
    """Where the chat keeps its sessions."""
    return paths.data_dir() / "sessions"


def path_of(name: str) -> Path:
    """The file of a session by its name, or by the path of a file, which ends in .jsonl.

    Raises SessionError for what can be neither.
    """
    if name.endswith(SUFFIX):
        path = paths.expanded(name)
        if "\0" in name or len(path.name.encode("utf-8", "replace")) > _MOST_OF_A_NAME:
            problem = f"{shortened(name)!r} cannot be a file"
            raise SessionError(f"{problem}; its name has to be shorter and without zero bytes.")
        return path
    if not _NAME.fullmatch(name):
        raise SessionError(
            f"{shortened(name)!r} cannot be the name of a session, which has letters, digits, "
            f"dots, dashes and spaces only; the path of a session's file ends in {SUFFIX}."
        )
    return sessions_dir() / (name + SUFFIX)


def listed() -> list[Path]:
    """The files of all sessions, the last used first."""
    dated = []
    with suppress(OSError):
        for path in sessions_dir().iterdir():
            with suppress(OSError):  # a link to nowhere
                facts = path.stat()
                if path.suffix == SUFFIX and facts.st_size:
                    dated.append((facts.st_mtime, path))
    return [path for _, path in sorted(dated, reverse=True)]


def _lines(path: Path) -> tuple[list[journal.Line], bool]:
    """The lines of a session's file, and whether the last one was torn; raises SessionError."""
    try:
        lines = list(journal.read(path, MAX_BYTES))
        return lines, path.stat().st_size > (lines[-1].end if lines else 0)
    except FileNotFoundError:
        raise SessionError(f"There is no session {path}; minireason sessions lists them.") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            problem = f"{path} is too large to be a session of minireason chat."
            raise SessionError(problem) from None
        raise SessionError(f"{path} cannot be read ({error.strerror}).") from None
